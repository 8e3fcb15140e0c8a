"""Judges a purchase: every pod once, no machine beyond its size, no device straddled. Shares no code with any solver.

`python -m compare.check --types T.csv --pods P.csv fleet.json` prints the cost, or what is wrong and exit code 1.
"""

import argparse
import csv
import json
import sys


def problems(types_path, pods_path, answer):
    """Everything that is wrong with a purchase, as text, and its cost by the price list."""
    with open(types_path, newline="") as file:
        types = {(row["cloud"], row["type"]): row for row in csv.DictReader(file)}
    with open(pods_path, newline="") as file:
        pods = list(csv.DictReader(file))
    wrong, cost = [], 0.0
    seen = [0] * len(pods)
    for at, node in enumerate(answer["nodes"]):
        kind = types.get((node["cloud"], node["type"]))
        if kind is None:
            wrong.append(f"machine {at}: no type {node['cloud']} {node['type']}")
            continue
        cost += float(kind["price"])
        cpu = mem = 0
        devices = [0] * int(kind["gpus"])
        for held in node["pods"]:
            row, chosen = held["row"], held["gpus"]
            if not 0 <= row < len(pods):
                wrong.append(f"machine {at}: there is no pod {row}")
                continue
            pod = pods[row]
            seen[row] += 1
            cpu += int(pod["cpu_milli"])
            mem += int(pod["mem_mib"])
            if len(set(chosen)) != len(chosen) or len(chosen) != int(pod["gpus"] or 0):
                wrong.append(f"machine {at}: pod {row} wants {pod['gpus']} distinct devices, has {chosen}")
            for device in chosen:
                if 0 <= device < len(devices):
                    devices[device] += int(pod["gpu_milli"])
                else:
                    wrong.append(f"machine {at}: no device {device}")
        if cpu > int(kind["cpu_milli"]) or mem > int(kind["mem_mib"]):
            wrong.append(f"machine {at} ({kind['type']}): {cpu} thousandths and {mem} MiB are too much")
        if any(used > 1000 for used in devices):
            wrong.append(f"machine {at} ({kind['type']}): devices hold {devices} thousandths")
    for left in answer.get("unplaced", []):
        seen[left["row"]] += 1
        wrong.append(f"pod {left['row']} is not held")
    wrong += [f"pod {row} is held {times} times" for row, times in enumerate(seen) if times != 1]
    said = answer.get("usd_per_hour")
    if said is not None and abs(said - cost) > 1e-6 * max(1.0, cost):
        wrong.append(f"it says {said} USD/h, the price list {cost}")
    return wrong, cost


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--types", required=True)
    parser.add_argument("--pods", required=True)
    parser.add_argument("answer")
    arguments = parser.parse_args()
    with open(arguments.answer) as file:
        wrong, cost = problems(arguments.types, arguments.pods, json.load(file))
    for problem in wrong[:20]:
        print(problem)
    print(f"{cost:.6f} USD/h, {len(wrong)} problems")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
