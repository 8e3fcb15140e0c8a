"""Online placement: placements per second over the number of nodes, ours by policy and a full scan in the same language.

`python -m compare.online --ours PATH --scan PATH --results FOLDER [--nodes CSV --pods CSV] [--quick]`. The cluster is generated,
with a seed; a cluster of one's own is measured as well when its tables are given (columns of the `replay` example).
"""

import argparse
import csv
import json
import random
import sys
from pathlib import Path

from compare import measure

SEED = 5
SIZES = [1_000, 3_000, 10_000, 30_000, 100_000]
SIZES_QUICK = [1_000, 10_000]
POLICIES = ["best_fit", "fgd", "fast", "best"]
# `best` looks ahead; beyond this it takes minutes.
BEST_NODES_MAX = 3_000
# A full scan of 100,000 nodes makes few placements per second: so many decisions are enough to see how many.
SCAN_NODE_LOOKS = 400_000_000


def main():
    arguments = _arguments()
    folder = arguments.results / "online"
    rows = []
    pods = folder / "pods.csv"
    _write(pods, ["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"], _pods(5000))
    for size in SIZES_QUICK if arguments.quick else SIZES:
        nodes = folder / f"nodes-{size}.csv"
        _write(nodes, ["sn", "cpu_milli", "memory_mib", "gpu", "model"], _nodes(size))
        rows += _cluster(arguments, "generated", size, nodes, pods)
    if arguments.nodes:
        with open(arguments.nodes) as file:
            size = sum(1 for _ in file) - 1
        rows += _cluster(arguments, arguments.nodes.stem, size, arguments.nodes, arguments.pods)
    measure.save(arguments.results / "online.json", rows)
    print(_show(rows))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the built `replay` example")
    parser.add_argument("--scan", required=True, help="the built full scan")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--nodes", type=Path)
    parser.add_argument("--pods", type=Path)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def _nodes(count):
    """Four kinds of nodes: a fifth without devices, the others with 2, 4 or 8 of three models."""
    dice = random.Random(SEED)
    kinds = [(64_000, 262_144, 0, ""), (64_000, 262_144, 2, "T"), (96_000, 393_216, 4, "V"), (96_000, 786_432, 8, "A")]
    for at in range(count):
        yield (f"node-{at:06}", *dice.choices(kinds, weights=[20, 30, 15, 35])[0])


def _pods(count):
    """Pods of 120 kinds with weights that fall like 1/rank; one in six asks for no device, four in ten for a share of one."""
    dice = random.Random(SEED)
    kinds = []
    for _ in range(120):
        cpu = 1000 * dice.choice([1, 2, 4, 6, 8, 12, 16])
        mem = cpu // 1000 * dice.choice([2048, 4096, 8192])
        shape = dice.random()
        if shape < 0.17:
            kinds.append((cpu, mem, 0, 0))
        elif shape < 0.57:
            kinds.append((min(cpu, 8000), min(mem, 32_768), 1, dice.choice([100, 200, 250, 400, 500, 600, 800])))
        else:
            kinds.append((cpu, mem, dice.choice([1, 1, 1, 1, 2, 4, 8]), 1000))
    weights = [1 / (rank + 1) for rank in range(len(kinds))]
    for at, kind in enumerate(dice.choices(kinds, weights=weights, k=count)):
        yield (f"pod-{at:05}", *kind, "")


def _write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _cluster(arguments, cluster, size, nodes, pods):
    rows = []
    for policy in POLICIES:
        if policy == "best" and size > BEST_NODES_MAX:
            continue
        command = [arguments.ours, "--nodes", nodes, "--pods", pods, "--policy", policy, "--seeds", 1, "--json"]
        rows.append(_row(cluster, size, f"skyloom {policy}", command, lambda answer: answer["allocated_pct"]["130"]))
    most = max(200, SCAN_NODE_LOOKS // size)
    command = [arguments.scan, nodes, pods, SEED, most]
    # Only a scan that came to 130% can be compared in what it allocated.
    allocated = lambda answer: answer["allocated_pct"] if answer["asked_pct"] >= 130 else None
    rows.append(_row(cluster, size, "full scan, best fit", command, allocated))
    scan = rows[-1]["placements_per_second"]
    for row in rows:
        row["to_scan"] = row["placements_per_second"] / scan if scan and row["placements_per_second"] else None
    return rows


def _row(cluster, size, policy, command, allocated):
    run = measure.measured(command)
    if run["code"]:
        print(f"{policy} on {size} nodes: {run['output']}", file=sys.stderr)
    answer = json.loads(run["output"]) if run["code"] == 0 else None
    return {
        "cluster": cluster,
        "nodes": size,
        "policy": policy,
        "placements_per_second": answer["placements_per_second"] if answer else None,
        "allocated_pct_at_130": allocated(answer) if answer else None,
        "cpu_seconds": run["cpu_seconds"],
    }


def _show(rows):
    header = ["cluster", "nodes", "policy", "placements/s, one core", "÷ full scan", "GPUs allocated at 130% asked", "CPU s"]
    lines = [
        [
            row["cluster"],
            f"{row['nodes']:,}",
            row["policy"],
            measure.number(row["placements_per_second"], 0),
            measure.number(row["to_scan"], 2),
            "–" if row["allocated_pct_at_130"] is None else f"{row['allocated_pct_at_130']:.2f}%",
            measure.number(row["cpu_seconds"], 1),
        ]
        for row in rows
    ]
    return measure.table("Online placement", header, lines)


if __name__ == "__main__":
    main()
