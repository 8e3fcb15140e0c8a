"""A machine being filled, first fit decreasing, and right-sizing: what FFD is, and what turns a peer's totals into machines."""


class Machine:
    """One machine of a type with its pods; devices are kept apart."""

    __slots__ = ("kind", "cpu", "mem", "devices", "held")

    def __init__(self, kind):
        self.kind = kind
        self.cpu = kind.cpu
        self.mem = kind.mem
        self.devices = [1000] * kind.gpus
        self.held = []

    def devices_for(self, pod):
        """Devices for a pod: the fullest that holds a share, the first empty ones for whole devices; None if there are none."""
        if pod.cpu > self.cpu or pod.mem > self.mem:
            return None
        if pod.gpus == 0:
            return ()
        fitting = [d for d, free in enumerate(self.devices) if free >= pod.milli]
        if len(fitting) < pod.gpus:
            return None
        if pod.gpus == 1 and pod.milli < 1000:
            return (min(fitting, key=lambda d: self.devices[d]),)
        return tuple(fitting[: pod.gpus])

    def add(self, of_class, pod, devices):
        """Takes a pod of a class on these devices."""
        self.cpu -= pod.cpu
        self.mem -= pod.mem
        for device in devices:
            self.devices[device] -= pod.milli
        self.held.append((of_class, devices))

    def try_add(self, of_class, pod):
        """Takes a pod if it fits."""
        devices = self.devices_for(pod)
        if devices is None:
            return False
        self.add(of_class, pod, devices)
        return True


def copies(kind, pod):
    """How many of a pod an empty machine holds."""
    fit = 1 << 30
    if pod.cpu:
        fit = min(fit, kind.cpu // pod.cpu)
    if pod.mem:
        fit = min(fit, kind.mem // pod.mem)
    if pod.gpus:
        whole = pod.gpus > 1 or pod.milli == 1000
        fit = min(fit, kind.gpus // pod.gpus if whole else kind.gpus * (1000 // pod.milli))
    return fit


def orders(instance):
    """Orders of classes, largest first: by CPU, by memory, and by the largest share of the largest machine."""
    most = [max((getattr(t, field) for t in instance.types), default=1) or 1 for field in ("cpu", "mem", "gpus")]
    ids = range(len(instance.classes))
    pods = instance.classes
    share = lambda p: max(p.cpu / most[0], p.mem / most[1], p.gpus * p.milli / 1000 / most[2])
    total = lambda p: p.cpu / most[0] + p.mem / most[1] + p.gpus * p.milli / 1000 / most[2]
    keys = [share, total, lambda p: (p.gpus * p.milli, p.cpu), lambda p: (p.gpus * p.milli, p.mem)]
    return [sorted(ids, key=lambda c, key=key: key(pods[c]), reverse=True) for key in keys]


def first_fit(instance, order, counts, cheapest):
    """First fit in this order; a new machine is of the type that `cheapest` gives for the class."""
    machines = []
    for of_class in order:
        pod, at = instance.classes[of_class], 0
        for _ in range(counts[of_class]):
            while at < len(machines) and not machines[at].try_add(of_class, pod):
                at += 1
            if at == len(machines):
                machines.append(Machine(cheapest(of_class)))
                if not machines[at].try_add(of_class, pod):
                    raise ValueError(f"class {of_class} fits no machine")
    return machines


def by_price_per_copy(instance):
    """The type that holds a class at the least price per copy."""
    chosen = {}

    def cheapest(of_class):
        if of_class not in chosen:
            pod = instance.classes[of_class]
            fitting = [(t.price / copies(t, pod), t.price, t) for t in instance.types if copies(t, pod) > 0]
            chosen[of_class] = min(fitting)[2]
        return chosen[of_class]

    return cheapest


def right_size(instance, machines):
    """Gives each machine the cheapest type that holds its pods, devices dealt anew."""
    cheapest_first = sorted(instance.types, key=lambda t: t.price)
    result = []
    for machine in machines:
        best = machine
        held = sorted(
            (of_class for of_class, _ in machine.held),
            key=lambda c: (instance.classes[c].gpus, instance.classes[c].milli),
            reverse=True,
        )
        cpu = machine.kind.cpu - machine.cpu
        mem = machine.kind.mem - machine.mem
        gpus = sum(instance.classes[c].gpus * instance.classes[c].milli for c in held) / 1000
        for kind in cheapest_first:
            if kind.price >= machine.kind.price:
                break
            if kind.cpu < cpu or kind.mem < mem or kind.gpus < gpus:
                continue
            smaller = Machine(kind)
            if all(smaller.try_add(c, instance.classes[c]) for c in held):
                best = smaller
                break
        result.append(best)
    return result


def cost(machines):
    """USD per hour."""
    return sum(machine.kind.price for machine in machines)


def ffd(instance):
    """First fit decreasing in each order, right-sized, the best of them."""
    cheapest = by_price_per_copy(instance)
    packed = [
        right_size(instance, first_fit(instance, order, instance.counts, cheapest)) for order in orders(instance)
    ]
    return min(packed, key=cost)


def answer(instance, machines):
    """The purchase in the form of the `fleet` example's answer, pods by their rows."""
    left = [list(rows) for rows in instance.rows]
    nodes = []
    for machine in machines:
        pods = [{"row": left[c].pop(), "gpus": list(devices)} for c, devices in machine.held if left[c]]
        kind = machine.kind
        nodes.append({"cloud": kind.cloud, "type": kind.name, "usd_per_hour": kind.price, "pods": pods})
    unplaced = [{"row": row, "reason": "left over"} for rows in left for row in rows]
    return {"usd_per_hour": cost(machines), "nodes": nodes, "unplaced": unplaced}
