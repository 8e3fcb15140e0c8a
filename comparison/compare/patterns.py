"""Peer: HiGHS on a choice among patterns, each a filled machine.

Patterns come from first fit decreasing, from single classes, and from rounds of greedy filling by the row prices of the
relaxed choice (column generation with a greedy pricer, shaken by seeded noise). The program then buys whole patterns that cover every class. It has
no bound of the question: better patterns than those at hand may exist.
"""

import math
import random
import time

from compare import highs, machines

# Share of the time spent on patterns; the program has the rest.
PATTERNS_SHARE = 0.4
# Rounds without a pattern that pays, after which no more are sought.
IDLE_ROUNDS_MAX = 8
# Spread of the noise on the order in which a machine is filled, in the logarithm.
NOISE = 0.3
SEED = 3


class Pool:
    """Patterns, each once."""

    def __init__(self, instance):
        self.instance = instance
        self.machines, self.counts, self.seen = [], [], set()

    def add(self, machine):
        """Takes a machine as a pattern unless it is there; says whether it was new."""
        counts = {}
        for c, _ in machine.held:
            counts[c] = counts.get(c, 0) + 1
        key = (machine.kind.cloud, machine.kind.name, tuple(sorted(counts.items())))
        if not counts or key in self.seen:
            return False
        self.seen.add(key)
        self.machines.append(machine)
        self.counts.append(counts)
        return True

    def program(self, is_integer):
        """The choice among the patterns."""
        costs = [machine.kind.price for machine in self.machines]
        columns = [list(counts.items()) for counts in self.counts]
        rows = len(self.instance.classes)
        unbounded = [math.inf] * len(columns)
        return highs.program(costs, unbounded, columns, self.instance.counts, [math.inf] * rows, is_integer)


def solve(instance, marks, threads):
    """Answers at the marks (CPU seconds), and the trace."""
    pool = Pool(instance)
    cheapest = machines.by_price_per_copy(instance)
    for order in machines.orders(instance):
        for machine in machines.right_size(
            instance, machines.first_fit(instance, order, instance.counts, cheapest)
        ):
            pool.add(machine)
    for c in range(len(instance.classes)):
        machine = machines.Machine(cheapest(c))
        for _ in range(instance.counts[c]):
            if not machine.try_add(c, instance.classes[c]):
                break
        pool.add(machine)
    until = PATTERNS_SHARE * marks[-1]
    dice, idle = random.Random(SEED), 0
    relaxed = highs.relax(pool.program(is_integer=False), threads, until)
    while relaxed and idle < IDLE_ROUNDS_MAX and time.process_time() < until:
        if _fill_all(pool, relaxed[2], until, dice):
            relaxed, idle = highs.relax(pool.program(is_integer=False), threads, until), 0
        else:
            idle += 1
    outcome = highs.minimise(pool.program(is_integer=True), marks[-1], threads)
    outcome.bounds.clear()
    return outcome, lambda solution: _machines(pool, solution)


def _fill_all(pool, prices, until, dice):
    """Fills each type greedily by price per size under four views of size; says whether a pattern paid."""
    instance = pool.instance
    paid = False
    noise = [math.exp(dice.gauss(0.0, NOISE)) for _ in instance.classes]
    worth = [c for c in range(len(instance.classes)) if prices[c] > 1e-9]
    for kind in instance.types:
        if time.process_time() > until:
            break
        for weights in ((1, 1, 1), (4, 1, 1), (1, 4, 1), (1, 1, 4)):
            shaken = dice.random() < 0.75
            machine, value = _fill(instance, kind, worth, prices, weights, noise if shaken else None)
            if value > kind.price * (1 + 1e-7):
                paid |= pool.add(machine)
    return paid


def _fill(instance, kind, worth, prices, weights, noise):
    """One machine filled by price per weighted share of it."""

    def density(c):
        pod = instance.classes[c]
        share = weights[0] * pod.cpu / kind.cpu + weights[1] * pod.mem / kind.mem
        if pod.gpus:
            share += weights[2] * pod.gpus * pod.milli / 1000 / kind.gpus
        return prices[c] / max(share, 1e-12) * (noise[c] if noise else 1.0)

    fitting = [c for c in worth if machines.copies(kind, instance.classes[c]) > 0]
    machine, value = machines.Machine(kind), 0.0
    for c in sorted(fitting, key=density, reverse=True):
        for _ in range(instance.counts[c]):
            if not machine.try_add(c, instance.classes[c]):
                break
            value += prices[c]
        if machine.cpu <= 0 or machine.mem <= 0:
            break
    return machine, value


def _machines(pool, solution):
    """The bought patterns; pods that are covered twice are left out, and each machine is right-sized."""
    instance = pool.instance
    left = list(instance.counts)
    bought = []
    for at, times in enumerate(solution):
        for _ in range(round(times)):
            machine = machines.Machine(pool.machines[at].kind)
            for c, devices in pool.machines[at].held:
                if left[c] > 0:
                    left[c] -= 1
                    machine.add(c, instance.classes[c], devices)
            if machine.held:
                bought.append(machine)
    return machines.right_size(instance, bought)
