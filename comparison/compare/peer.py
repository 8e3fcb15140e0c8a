"""One peer on one fleet question, in a process of its own, so that its processor time is the process's.

Writes `{"answers": {mark: purchase}, "trace": [[CPU seconds, USD/h, bound]], "ended": …}`: for each mark (CPU seconds since
the process began, reading included) the best purchase and the best bound known by then.
"""

import argparse
import time

from compare import instance as instances
from compare import machines, measure


def solve(method, instance, marks, threads):
    """The method's outcome and what makes machines of one of its solutions."""
    if method == "assign":
        from compare import assign as peer
    elif method == "patterns":
        from compare import patterns as peer
    else:
        from compare import cpsat as peer
    return peer.solve(instance, marks, threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, choices=["ffd", "assign", "patterns", "cpsat"])
    parser.add_argument("--types", required=True)
    parser.add_argument("--pods", required=True)
    parser.add_argument("--marks", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    instance = instances.read(arguments.types, arguments.pods)
    marks = sorted(arguments.marks)
    if arguments.method == "ffd":
        packed = machines.ffd(instance)
        when = time.process_time()
        answer = machines.answer(instance, packed)
        answers = {f"{mark:g}": answer for mark in marks[-1:]}
        measure.save(arguments.out, {"answers": answers, "trace": [[when, machines.cost(packed), None]], "ended": True})
        return
    outcome, machines_of = solve(arguments.method, instance, marks, arguments.threads)
    trace, best, answers = [], None, {}
    # Many improvements cost many packings: of those within a second the last is enough.
    kept = [
        (when, solution)
        for at, (when, solution) in enumerate(outcome.improvements)
        if at + 1 == len(outcome.improvements)
        or int(outcome.improvements[at + 1][0]) != int(when)
        or any(when <= mark < outcome.improvements[at + 1][0] for mark in marks)
    ]
    packed = [(when, machines_of(solution)) for when, solution in kept]
    for when, found in packed:
        if best is None or machines.cost(found) < machines.cost(best):
            best = found
        trace.append([when, machines.cost(best), outcome.bound_at(when)])
    for mark in marks:
        known = [found for when, found in packed if when <= mark * 1.05]
        # The last look at the clock may be late; what came to its end by then counts for every later mark.
        if mark == marks[-1]:
            known = [found for _, found in packed]
        if known:
            answers[f"{mark:g}"] = machines.answer(instance, min(known, key=machines.cost))
    bounds = {f"{mark:g}": outcome.bound_at(mark * 1.05 if mark < marks[-1] else float("inf")) for mark in marks}
    measure.save(arguments.out, {"answers": answers, "bounds": bounds, "trace": trace, "ended": outcome.ended})


if __name__ == "__main__":
    main()
