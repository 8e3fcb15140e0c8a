"""Judges what the `fleet` example wrote, sharing no code with it: usage check_fleet.py TYPES PODS ANSWER."""

import csv
import json
import math
import sys
from collections import defaultdict

types = {(t["cloud"], t["type"]): t for t in csv.DictReader(open(sys.argv[1]))}
pods = list(csv.DictReader(open(sys.argv[2])))
answer = json.load(open(sys.argv[3]))

seen, cost = set(), 0.0
for node in answer["nodes"]:
    kind = types[(node["cloud"], node["type"])]
    assert math.isclose(node["usd_per_hour"], float(kind["price"]), rel_tol=1e-9), node
    cost += node["usd_per_hour"]
    cpu = memory = 0
    devices = defaultdict(int)
    for resident in node["pods"]:
        row = resident["row"]
        assert row not in seen, f"row {row} is placed twice"
        seen.add(row)
        pod = pods[row]
        cpu, memory = cpu + int(pod["cpu_milli"]), memory + int(pod["mem_mib"])
        assert len(set(resident["gpus"])) == len(resident["gpus"]) == int(pod["gpus"]), resident
        for device in resident["gpus"]:
            devices[device] += int(pod["gpu_milli"])
    assert cpu <= int(kind["cpu_milli"]) and memory <= int(kind["mem_mib"]), node
    assert all(0 <= d < int(kind["gpus"]) and milli <= 1000 for d, milli in devices.items()), node
unplaced = {entry["row"] for entry in answer["unplaced"]}
assert all(entry["reason"] for entry in answer["unplaced"])
assert not seen & unplaced and seen | unplaced == set(range(len(pods))), "each row once"
assert math.isclose(cost, answer["usd_per_hour"], rel_tol=1e-9), (cost, answer["usd_per_hour"])
bound = answer["lower_bound_usd_per_hour"]
assert 0 < bound <= answer["usd_per_hour"] * (1 + 1e-12), bound
assert math.isclose(answer["gap"], (answer["usd_per_hour"] - bound) / bound, rel_tol=1e-6, abs_tol=1e-9)
print(f"{len(answer['nodes'])} machines hold {len(seen)} pods for {cost:.4f} USD/h, gap {answer['gap']:.3%}")
