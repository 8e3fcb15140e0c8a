"""A graph of tasks over clouds: ours and SkyPilot's optimizer on the same graphs and the same candidates.

`python -m compare.dag --ours PATH --results FOLDER (--builtin FOLDER | --catalog FOLDER) [--quick]`. SkyPilot reads price
lists in its own form, `FOLDER/<cloud>/vms.csv`; `--builtin` makes them of the project's built-in catalogue. It lists its
candidates first; ours gets exactly those. Traffic is priced three ways, so that neither is judged by the other's rules:
SkyPilot's formula per edge, the same rates by marginal tiers on each sender's sum, and the built-in catalogue's rates
between regions as well.
"""

import argparse
import collections
import csv
import json
import os
import random
import sys
from pathlib import Path

from compare import measure

CLOUDS = ("aws", "azure", "gcp")
HOME_REGION = {"aws": "us-east-1", "azure": "eastus", "gcp": "us-central1"}
# USD per GiB to other clouds below the first edge, as in SkyPilot 0.14.1; the first GiB is free on two of them.
FREE_GIB = {"aws": 1, "azure": 1, "gcp": 0}
USD_PER_GIB = {"aws": 0.09, "azure": 0.0875, "gcp": 0.12}
GIB = 1 << 30

# Shape, tasks, and whether each cloud is held to one region (SkyPilot's 0/1 program has a variable per pair of candidates).
QUICK = [("chain", 10, False), ("general", 10, True), ("general", 50, True)]
FULL = QUICK + [
    ("chain", 100, False),
    ("general", 100, True),
    ("general", 10, False),
    ("general", 20, False),
]
SEED = 11


def main():
    arguments = _arguments()
    home = arguments.results / "dag" / "skypilot-home"
    _catalogue(arguments, home)
    rows = [_row(arguments, home, *case) for case in (QUICK if arguments.quick else FULL)]
    measure.save(arguments.results / "dag.json", rows)
    print(_show(rows))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the built `dag` example")
    parser.add_argument("--results", type=Path, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--builtin", type=Path, help="folder of the built-in catalogue's tables")
    source.add_argument("--catalog", type=Path, help="folder of price lists in SkyPilot's form")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def _catalogue(arguments, home):
    """Puts price lists where SkyPilot looks before it looks elsewhere; the version is of 0.14.1's form."""
    for cloud in CLOUDS:
        path = home / ".sky" / "catalogs" / "v8" / cloud / "vms.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        if arguments.catalog:
            path.write_bytes((arguments.catalog / cloud / "vms.csv").read_bytes())
        else:
            _convert(arguments.builtin, cloud, path)


def _convert(builtin, cloud, path):
    tables = {}
    for name in ("types", "regions", "prices"):
        with open(builtin / f"{name}.csv", newline="") as file:
            tables[name] = [row for row in csv.DictReader(file) if row["cloud"] == cloud]
    types = {row["instance_type"]: row for row in tables["types"]}
    zones = {row["region"]: row["zones"].split("|") for row in tables["regions"]}
    header = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        # SkyPilot takes an Azure list that has a column of zones for one that offers nothing.
        columns = header.split(",")[: -1 if cloud == "azure" else None]
        writer.writerow(columns)
        for row in tables["prices"]:
            kind = types[row["instance_type"]]
            size = [kind["accelerator"], kind["accelerator_count"], kind["vcpus"], kind["memory_gib"], ""]
            price = [row["on_demand"], row["spot"], row["region"]]
            for zone in [""] if cloud == "azure" else zones[row["region"]]:
                writer.writerow([row["instance_type"], *size, *price, zone][: len(columns)])


def graph(shape, tasks, is_pinned, seed):
    """A seeded graph: what each task needs, how long it runs, what it sends to every task that follows it.

    A general graph has 1.75 edges per task, from any earlier task among the last ten. One task in five may run in one cloud
    only. Outputs are log-uniform from 0.1 to 50 GiB, below the first edge of every tariff even summed.
    """
    dice = random.Random(f"{seed} {shape} {tasks} {is_pinned}")
    nodes = []
    for _ in range(tasks):
        cores = dice.choice([2, 4, 8])
        only = dice.choice(CLOUDS) if dice.random() < 0.2 else None
        nodes.append({
            "cpus": f"{cores}+",
            "memory": f"{cores * dice.choice([2, 4])}+",
            "clouds": [only] if only else list(CLOUDS),
            "regions": HOME_REGION if is_pinned else None,
            "seconds": 900 * dice.randint(1, 32),
            "output_gib": round(0.1 * 500 ** dice.random(), 3),
        })
    edges = {(task - 1, task) for task in range(1, tasks)} if shape == "chain" else set()
    if shape != "chain":
        for task in range(1, tasks):
            edges.add((dice.randint(max(0, task - 10), task - 1), task))
        while len(edges) < tasks * 7 // 4:
            task = dice.randint(1, tasks - 1)
            edges.add((dice.randint(max(0, task - 10), task - 1), task))
            # Few tasks have few pairs.
            if len(edges) == tasks * (tasks - 1) // 2:
                break
    return {"tasks": nodes, "edges": sorted(edges)}


def _row(arguments, home, shape, tasks, is_pinned):
    """One graph, both sides, and both plans by all three tariffs."""
    name = f"{shape}-{tasks}-{'one-region' if is_pinned else 'any-region'}"
    folder = arguments.results / "dag" / name
    question = graph(shape, tasks, is_pinned, SEED)
    measure.save(folder / "graph.json", question)
    environment = dict(os.environ, SKY_RUNTIME_DIR=str(home.resolve()), HOME=str(home.resolve()))
    environment["SKYPILOT_DISABLE_USAGE_COLLECTION"] = "1"
    theirs_path = folder / "skypilot.json"
    theirs_path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "compare.skypilot", folder / "graph.json", theirs_path]
    run = measure.measured(command, limit_seconds=600, env=environment)
    theirs = measure.load(theirs_path)
    print(f"{name}: SkyPilot used {run['cpu_seconds']:.1f} CPU s", file=sys.stderr)
    row = {"name": name, "tasks": tasks, "edges": len(question["edges"])}
    if theirs is None:
        return row | {"failed": run["output"][-2000:], "skypilot_cpu_seconds": run["cpu_seconds"]}
    candidates = theirs["candidates"]
    whole = [list(range(len(of_task))) for of_task in candidates]
    ours = _ours(arguments, folder, "ours", question, candidates, whole, True)
    ours_plan = [_chosen(of_task, task) for of_task, task in zip(candidates, ours["tasks"])]
    only = lambda plan: [[at] for at in plan]
    real = _ours(arguments, folder, "ours-by-region", question, candidates, whole, False)
    return row | {
        "candidates_per_task": sum(map(len, candidates)) / tasks,
        "skypilot": {
            "enumerate_cpu_seconds": theirs["enumerate_cpu_seconds"],
            "solve_cpu_seconds": theirs["solve_cpu_seconds"],
            "objective": theirs["objective"],
            "per_edge": per_edge(question, candidates, theirs["plan"]),
            "marginal": _ours(arguments, folder, "fixed", question, candidates, only(theirs["plan"]), True)["cost_usd"],
            "by_region": _ours(arguments, folder, "fixed", question, candidates, only(theirs["plan"]), False)["cost_usd"],
            "clouds": dict(collections.Counter(candidates[t][at]["cloud"] for t, at in enumerate(theirs["plan"]))),
        },
        "ours": {
            "planning_seconds": ours.get("planning_seconds"),
            "process_cpu_seconds": ours["process_cpu_seconds"],
            "per_edge": per_edge(question, candidates, ours_plan),
            "marginal": ours["cost_usd"],
            "marginal_bound": ours["lower_bound_usd"],
            "by_region": real["cost_usd"],
            "by_region_bound": real["lower_bound_usd"],
            "by_region_planning_seconds": real.get("planning_seconds"),
            "clouds": dict(collections.Counter(candidates[t][at]["cloud"] for t, at in enumerate(ours_plan))),
        },
    }


def per_edge(question, candidates, plan):
    """A plan's cost by SkyPilot's formula below the first edge."""
    total = sum(candidates[task][at]["usd"] for task, at in enumerate(plan))
    for source, target in question["edges"]:
        here, there = (candidates[task][plan[task]]["cloud"] for task in (source, target))
        volume = question["tasks"][source]["output_gib"]
        if here != there:
            total += USD_PER_GIB[here] * max(0.0, volume - FREE_GIB[here])
    return total


def _chosen(of_task, task):
    place = task["region"]
    wanted = (task["offer"], place["cloud"], place["region"])
    return next(at for at, c in enumerate(of_task) if (c["type"], c["cloud"], c["region"]) == wanted)


def _ours(arguments, folder, name, question, candidates, allowed, is_free_between_regions):
    """Our plan with these candidates."""
    tasks = []
    for task, (of_task, some) in enumerate(zip(candidates, allowed)):
        seconds = question["tasks"][task]["seconds"]
        choices = [
            {
                "offer": c["type"],
                "region": {"cloud": c["cloud"], "region": c["region"]},
                "usd_per_hour": c["usd_per_hour"],
                "run_seconds": seconds,
            }
            for c in (of_task[at] for at in some)
        ]
        tasks.append({"id": f"t{task:04}", "candidates": choices})
    volume = lambda source: round(question["tasks"][source]["output_gib"] * GIB)
    edges = [{"from": f"t{a:04}", "to": f"t{b:04}", "bytes": volume(a)} for a, b in question["edges"]]
    whole = {"tasks": tasks, "edges": edges}
    if is_free_between_regions:
        whole["egress"] = [tariff for cloud in CLOUDS for tariff in _tariffs(cloud)]
    path = folder / f"{name}-{'flat' if is_free_between_regions else 'region'}.json"
    measure.save(path, whole)
    run = measure.measured([arguments.ours, "--input", path, "--objective", "cost", "--no-explain", "--json"])
    if run["code"]:
        raise SystemExit(f"ours failed on {path.name}: {run['output']}")
    return json.loads(run["output"]) | {"process_cpu_seconds": run["cpu_seconds"]}


def _tariffs(cloud):
    free = [{"up_to": "1GiB", "usd_per_gib": 0}] if FREE_GIB[cloud] else []
    to_others = free + [{"usd_per_gib": USD_PER_GIB[cloud]}]
    yield {"cloud": cloud, "scope": "internet", "tiers": to_others}
    yield {"cloud": cloud, "scope": "inter-region", "tiers": [{"usd_per_gib": 0}]}


def _show(rows):
    header = [
        "graph (edges, candidates per task)",
        "SkyPilot, CPU s to list + to solve",
        "ours, ms",
        "solving ÷ ours",
        "per edge: SkyPilot / ours",
        "per sender: SkyPilot / ours (bound)",
        "regions too: SkyPilot / ours (bound)",
    ]
    lines = []
    for row in rows:
        name = f"{row['name']} ({row['edges']}, {row.get('candidates_per_task', 0):.1f})"
        if "failed" in row:
            lines.append([name, f"no answer after {row['skypilot_cpu_seconds']:.0f}", "–", "–", "–", "–", "–"])
            continue
        theirs, ours = row["skypilot"], row["ours"]
        lines.append([
            name,
            f"{theirs['enumerate_cpu_seconds']:.2f} + {theirs['solve_cpu_seconds']:.3f}",
            f"{1000 * ours['planning_seconds']:.2f}",
            f"{theirs['solve_cpu_seconds'] / ours['planning_seconds']:,.1f}",
            f"{theirs['per_edge']:.4f} / {ours['per_edge']:.4f}",
            f"{theirs['marginal']:.4f} / {ours['marginal']:.4f} ({ours['marginal_bound']:.4f})",
            f"{theirs['by_region']:.4f} / {ours['by_region']:.4f} ({ours['by_region_bound']:.4f})",
        ])
    return measure.table("A graph of tasks", header, lines)


if __name__ == "__main__":
    main()
