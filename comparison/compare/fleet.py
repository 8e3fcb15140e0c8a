"""Fleet purchase: ours and the peers on the same tables, every answer judged by one checker.

`python -m compare.fleet --ours PATH --results FOLDER [--pair TYPES PODS]… [--quick] [--only ours|peers]`
Answers that are in the results already are kept; `--only ours` repeats ours alone and `--only peers` theirs, each beside what
is there of the other side.
"""

import argparse
import sys
from pathlib import Path

from compare import check, instance as instances, measure

GENERATED_PODS = 5000
GENERATED_SEED = 2026
# CP-SAT is asked for so many pods of the last pair; it stops where its answer is no cheaper than first fit decreasing.
RESTRICTED = [25, 50, 100, 200, 400]
RESTRICTED_SEED = 7


def main():
    arguments = _arguments()
    work = arguments.results / "fleet"
    # Our first budget is what a caller waits for at most; the others are the peers' limits.
    budgets = [3.0, 10.0] if arguments.quick else [3.0, 10.0, 60.0]
    marks = [10.0] if arguments.quick else [10.0, 60.0]
    generated = instances.write(instances.generated(GENERATED_PODS, GENERATED_SEED), work / "generated" / "tables")
    pairs = [(f"generated{GENERATED_PODS}", generated)]
    for types, pods in arguments.pair:
        pairs.append((f"{Path(pods).stem} x {Path(types).stem.removeprefix('types_')}", (types, pods)))
    rows = []
    for name, tables in pairs:
        rows += _pair(arguments, work, name, tables, budgets, marks)
    restricted = _restricted(arguments, work, pairs[0], 10.0 if arguments.quick else 30.0)
    measure.save(arguments.results / "fleet.json", {"pairs": rows, "restricted": restricted})
    print(_show("Fleet purchase", rows))
    print(_show(f"Fleet purchase, {pairs[0][0]} cut down until CP-SAT stops", restricted))
    bad = [row for row in rows + restricted if row["problems"]]
    for row in bad:
        print(f"{row['pair']}, {row['method']}: {row['problems'][:3]}", file=sys.stderr)
    sys.exit(1 if bad else 0)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the built `fleet` example")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--pair", nargs=2, action="append", default=[], metavar=("TYPES", "PODS"))
    parser.add_argument("--threads", type=int, default=1, help="of each peer")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["ours", "peers"])
    return parser.parse_args()


def _pair(arguments, work, name, tables, budgets, marks):
    """All rows of one pair, with the gap to the best bound that anybody proved."""
    folder = work / name.replace(" ", "-")
    rows = []
    for seconds in budgets:
        rows += _ours(arguments, folder, name, tables, seconds)
    for method in ("ffd", "assign", "patterns"):
        rows += _peer(arguments, folder, name, tables, method, marks)
    return _compared(rows)


def _compared(rows):
    bound = max((row["bound"] for row in rows if row["bound"]), default=None)
    ours = [row for row in rows if row["method"] == "skyloom" and row["usd_per_hour"]]
    for row in rows:
        cost = row["usd_per_hour"]
        row["gap"] = (cost - bound) / bound if cost and bound else None
        # Against ours of the same limit, or of the nearest above.
        same = [other for other in ours if other["limit"] >= row["limit"]] or ours[-1:]
        row["cost_to_ours"] = cost / same[0]["usd_per_hour"] if cost and same else None
        row["cpu_to_ours"] = row["cpu_seconds"] / same[0]["cpu_seconds"] if same else None
    return rows


def _ours(arguments, folder, name, tables, seconds):
    answer_path = folder / f"skyloom-{seconds:g}.json"
    meta_path = folder / f"skyloom-{seconds:g}.meta.json"
    meta = measure.load(meta_path)
    if arguments.only == "ours" or (meta is None and arguments.only is None):
        folder.mkdir(parents=True, exist_ok=True)
        types, pods = tables
        command = [arguments.ours, "--types", types, "--pods", pods, "--seconds", seconds, "--out", answer_path]
        meta = measure.measured(command)
        measure.save(meta_path, meta)
        print(f"{name}: skyloom {seconds:g} s used {meta['cpu_seconds']:.1f} CPU s", file=sys.stderr)
    if meta is None:
        return []
    answer = measure.load(answer_path) if meta["code"] == 0 else None
    bound = answer["lower_bound_usd_per_hour"] if answer else None
    return [_row(name, "skyloom", seconds, tables, answer, bound, meta["cpu_seconds"], meta["wall_seconds"])]


def _peer(arguments, folder, name, tables, method, marks):
    out, meta_path = folder / f"{method}.json", folder / f"{method}.meta.json"
    meta = measure.load(meta_path)
    if arguments.only == "peers" or (meta is None and arguments.only is None):
        folder.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        types, pods = tables
        command = [sys.executable, "-m", "compare.peer", "--method", method, "--types", types, "--pods", pods]
        command += ["--marks", *(f"{mark:g}" for mark in marks), "--threads", arguments.threads, "--out", out]
        # A peer that does not look at the clock in time is ended.
        meta = measure.measured(command, limit_seconds=max(60.0, 5 * marks[-1]))
        measure.save(meta_path, meta)
        print(f"{name}: {method} used {meta['cpu_seconds']:.1f} CPU s", file=sys.stderr)
        if meta["code"]:
            print(meta["output"], file=sys.stderr)
    if meta is None:
        return []
    result = measure.load(out) or {"answers": {}, "bounds": {}, "ended": False}
    rows = []
    # Only the assignment program answers at any time: the time of the others is dealt out by the last mark.
    for mark in marks if method == "assign" else marks[-1:]:
        answer = result["answers"].get(f"{mark:g}")
        bound = result.get("bounds", {}).get(f"{mark:g}")
        cpu = meta["cpu_seconds"] if mark == marks[-1] else min(mark, meta["cpu_seconds"])
        wall = meta["wall_seconds"] if mark == marks[-1] else None
        rows.append(_row(name, method, mark, tables, answer, bound, cpu, wall))
        rows[-1]["ended"] = result["ended"]
    return rows


def _row(pair, method, limit, tables, answer, bound, cpu, wall):
    wrong, cost = check.problems(*tables, answer) if answer else ([], None)
    return {
        "pair": pair,
        "method": method,
        "limit": limit,
        "usd_per_hour": cost,
        "bound": bound,
        "machines": len(answer["nodes"]) if answer else None,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "problems": wrong,
    }


def _restricted(arguments, work, pair, limit):
    """CP-SAT against ours and first fit decreasing on ever more pods of one instance."""
    name, tables = pair
    rows = []
    for count in RESTRICTED:
        folder = work / f"{name}-of-{count}"
        part = instances.part(instances.read(*tables), count, RESTRICTED_SEED)
        cut = instances.write(part, folder / "tables")
        title = f"{count} of {name}"
        found = _ours(arguments, folder, title, cut, 3.0)
        for method in ("ffd", "cpsat"):
            found += _peer(arguments, folder, title, cut, method, [limit])
        rows += _compared(found)
        costs = {row["method"]: row["usd_per_hour"] for row in found}
        ffd, cpsat = costs.get("ffd"), costs.get("cpsat")
        if ffd is None or cpsat is None or cpsat >= ffd * (1 - 1e-9):
            break
    return rows


NAMES = {
    "skyloom": "skyloom `fleet`",
    "ffd": "first fit decreasing",
    "assign": "HiGHS, assignment program + first fit",
    "patterns": "HiGHS, choice of patterns",
    "cpsat": "OR-tools CP-SAT, packing",
}


def _show(title, rows):
    header = "instance,method,limit s,USD/h,own bound,gap to best bound,CPU s,wall s,cost ÷ ours,CPU ÷ ours".split(",")
    lines = []
    for row in rows:
        lines.append([
            row["pair"],
            NAMES[row["method"]],
            "–" if row["method"] == "ffd" else f"{row['limit']:g}",
            measure.number(row["usd_per_hour"]),
            measure.number(row["bound"]),
            measure.percent(row["gap"]),
            measure.number(row["cpu_seconds"], 1),
            measure.number(row["wall_seconds"], 1),
            measure.number(row["cost_to_ours"], 4),
            measure.number(row["cpu_to_ours"], 1),
        ])
    return measure.table(title, header, lines)


if __name__ == "__main__":
    main()
