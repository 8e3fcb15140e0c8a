"""Peer: HiGHS on the assignment program, machines of a type as one pool.

y[t] machines of type t, x[c, t] pods of class c on them, both integer; a class is only allowed on types that hold one of its
pods; each pool's CPU, memory and devices suffice. Its bound is a bound of the question. Its plan is none yet: pods of a
pool may not fit its machines one by one, so first fit decreasing makes machines of it, and each is right-sized.
"""

import math

from compare import highs, machines


def solve(instance, marks, threads):
    """Answers at the marks (CPU seconds), and the trace."""
    types, classes = instance.types, instance.classes
    demand_rows = len(classes)
    columns, costs, upper, pairs = [], [], [], []
    for t, kind in enumerate(types):
        first = demand_rows + 3 * t
        columns.append([(first, -kind.cpu), (first + 1, -kind.mem), (first + 2, -kind.gpus)])
        costs.append(kind.price)
        upper.append(math.inf)
    for c, pod in enumerate(classes):
        for t, kind in enumerate(types):
            if machines.copies(kind, pod) == 0:
                continue
            first = demand_rows + 3 * t
            column = [(c, 1), (first, pod.cpu), (first + 1, pod.mem)]
            if pod.gpus:
                column.append((first + 2, pod.gpus * pod.milli / 1000))
            columns.append(column)
            costs.append(0)
            upper.append(instance.counts[c])
            pairs.append((c, t))
    rows = demand_rows + 3 * len(types)
    lower = instance.counts + [-math.inf] * (rows - demand_rows)
    above = instance.counts + [0] * (rows - demand_rows)
    lp = highs.program(costs, upper, columns, lower, above, is_integer=True)
    outcome = highs.minimise(lp, marks[-1], threads)
    return outcome, lambda solution: _machines(instance, pairs, solution)


def _machines(instance, pairs, solution):
    """Machines out of pools, the best of the orders of first fit."""
    shares = {}
    for (c, t), value in zip(pairs, solution[len(instance.types) :]):
        if round(value) > 0:
            shares.setdefault(t, {})[c] = round(value)
    packed = []
    for t, counts in sorted(shares.items()):
        kind = instance.types[t]
        tries = [
            machines.first_fit(instance, [c for c in order if c in counts], counts, lambda _: kind)
            for order in machines.orders(instance)
        ]
        packed += min(tries, key=len)
    return machines.right_size(instance, packed)
