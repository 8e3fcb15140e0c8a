"""Peer: CP-SAT of OR-tools on vector packing with machines one by one, for as many pods as it can hold.

n[c, b] pods of class c in slot b, one type or none per slot; devices for shares are kept apart, whole devices counted.
Slots are ordered by type against symmetry, and first fit decreasing gives the number of slots and a first solution.
"""

import time

from ortools.sat.python import cp_model

from compare import highs, machines


def solve(instance, marks, threads):
    """Answers at the marks (CPU seconds), and the trace."""
    start = machines.ffd(instance)
    start.sort(key=lambda machine: instance.types.index(machine.kind))
    # A cheaper fleet may have more, smaller machines; a quarter more slots leave room for that.
    slots = len(start) + len(start) // 4 + 1
    model = cp_model.CpModel()
    classes, types = instance.classes, instance.types
    devices_max = max(t.gpus for t in types)
    held = [[model.new_int_var(0, count, "") for _ in range(slots)] for count in instance.counts]
    is_type = [[model.new_bool_var("") for _ in types] for _ in range(slots)]
    shared = [c for c, pod in enumerate(classes) if pod.gpus and pod.milli < 1000]
    on_device = {}
    for b in range(slots):
        model.add_at_most_one(is_type[b])
        sized = lambda field, b=b: sum(getattr(t, field) * is_type[b][k] for k, t in enumerate(types))
        model.add(sum(pod.cpu * held[c][b] for c, pod in enumerate(classes)) <= sized("cpu"))
        model.add(sum(pod.mem * held[c][b] for c, pod in enumerate(classes)) <= sized("mem"))
        whole = sum(pod.gpus * held[c][b] for c, pod in enumerate(classes) if pod.gpus and c not in shared)
        opened = [model.new_bool_var("") for _ in range(devices_max)] if shared else []
        for d, is_open in enumerate(opened):
            for c in shared:
                on_device[c, b, d] = model.new_int_var(0, min(instance.counts[c], 1000 // classes[c].milli), "")
            model.add(sum(classes[c].milli * on_device[c, b, d] for c in shared) <= 1000 * is_open)
            if d:
                model.add_implication(is_open, opened[d - 1])
        for c in shared:
            model.add(held[c][b] == sum(on_device[c, b, d] for d in range(devices_max)))
        model.add(whole + sum(opened) <= sized("gpus"))
    for c, count in enumerate(instance.counts):
        model.add(sum(held[c]) == count)
    rank = lambda b: sum((len(types) - k) * is_type[b][k] for k in range(len(types)))
    for b in range(slots - 1):
        model.add(rank(b) >= rank(b + 1))
    price = [round(t.price * 1e6) for t in types]
    model.minimize(sum(price[k] * is_type[b][k] for b in range(slots) for k in range(len(types))))
    _hint(model, instance, start, held, is_type)
    return _run(model, instance, held, is_type, on_device, marks, threads)


def _hint(model, instance, start, held, is_type):
    for b, slot in enumerate(is_type):
        machine = start[b] if b < len(start) else None
        inside = [c for c, _ in machine.held] if machine else []
        for k, variable in enumerate(slot):
            model.add_hint(variable, bool(machine) and instance.types[k] == machine.kind)
        for c, counts in enumerate(held):
            model.add_hint(counts[b], inside.count(c))


def _run(model, instance, held, is_type, on_device, marks, threads):
    outcome = highs.Outcome()

    class Note(cp_model.CpSolverSolutionCallback):
        """Notes each improvement, as machines."""

        def on_solution_callback(self):
            found = _machines(self.value, instance, held, is_type, on_device)
            outcome.improvements.append((time.process_time(), found))

    def bound(value):
        if value > 0:
            outcome.bounds.append((time.process_time(), value / 1e6))

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = threads
    solver.best_bound_callback = bound
    # Unlike HiGHS it has no regular moment at which to look at the processor's clock, so its limit is one of the wall.
    solver.parameters.max_time_in_seconds = max(1.0, marks[-1] - time.process_time())
    status = solver.solve(model, Note())
    outcome.ended = status == cp_model.OPTIMAL
    if solver.best_objective_bound > 0:
        outcome.bounds.append((time.process_time(), solver.best_objective_bound / 1e6))
    return outcome, lambda found: found


def _machines(value, instance, held, is_type, on_device):
    found = []
    for b, slot in enumerate(is_type):
        chosen = [k for k, variable in enumerate(slot) if value(variable)]
        if not chosen:
            continue
        machine = machines.Machine(instance.types[chosen[0]])
        # Shares on their devices first, so that what is whole finds the devices left empty.
        for (c, at, d), variable in on_device.items():
            if at == b:
                for _ in range(value(variable)):
                    machine.add(c, instance.classes[c], (d,))
        for c, pod in enumerate(instance.classes):
            if pod.gpus and pod.milli < 1000:
                continue
            for _ in range(value(held[c][b])):
                machine.try_add(c, pod)
        if machine.held:
            found.append(machine)
    return machines.right_size(instance, found)
