"""Seeded tables for the examples that take tables: machine types and pods to buy for, nodes and pods to
replay, series to forecast, values to judge.

Usage: make_tables.py FOLDER. Made up, not measured: only forms and sizes are like real ones.
"""

import csv
import math
import pathlib
import random
import sys

folder = pathlib.Path(sys.argv[1])
dice = random.Random(2026)


def write(name, header, rows):
    with open(folder / name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


types = []
for cloud, core, gib in [("north", 0.031, 0.0041), ("south", 0.028, 0.0049)]:
    for cores in [1, 2, 4, 8, 16, 32, 64]:
        for ratio in [2, 4, 8]:
            price = cores * core + cores * ratio * gib
            types.append([cloud, f"c{cores}r{ratio}", cores * 1000, cores * ratio * 1024, 0, f"{price:.6f}"])
    for gpus in [1, 2, 4, 8]:
        types.append([cloud, f"g{gpus}", gpus * 12000, gpus * 48 * 1024, gpus, f"{gpus * 0.81 + 0.2:.6f}"])
write("types.csv", ["cloud", "type", "cpu_milli", "mem_mib", "gpus", "price"], types)

pods = []
for _ in range(600):
    cores = min(16.0, max(0.1, dice.lognormvariate(0.3, 1.0)))
    cpu, memory = int(cores * 10) * 100, int(cores * dice.uniform(1, 6) * 8) * 128
    gpus, milli = 0, 0
    if dice.random() < 0.08:
        gpus, milli = dice.choice([(1, 1000), (1, 500), (1, 250), (2, 1000), (4, 1000)])
    pods.append([max(cpu, 100), max(memory, 128), gpus, milli])
write("pods.csv", ["cpu_milli", "mem_mib", "gpus", "gpu_milli"], pods)

nodes = [[f"node-{n:03}", 96000, 393216, dice.choice([2, 4, 8]), dice.choice(["G1", "T4"])] for n in range(40)]
write("nodes.csv", ["sn", "cpu_milli", "memory_mib", "gpu", "model"], nodes)
arrivals = []
for n in range(200):
    gpus, milli = dice.choice([(0, 0), (1, 1000), (1, 1000), (1, 500), (1, 300), (2, 1000), (8, 1000)])
    arrivals.append([f"pod-{n:03}", dice.randrange(1, 13) * 1000, dice.randrange(1, 33) * 1024, gpus, milli, ""])
write("arrivals.csv", ["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"], arrivals)

with (folder / "series.csv").open("w", newline="", encoding="utf-8") as file:
    for n in range(6):
        wave = [100 + 40 * math.sin(2 * math.pi * t / 24) + n * t / 50 + dice.gauss(0, 3) for t in range(240)]
        csv.writer(file).writerow([f"series-{n}", *(f"{value:.3f}" for value in wave)])

metrics = folder / "metrics" / "web"
metrics.mkdir(parents=True, exist_ok=True)
values = [20 + 5 * math.sin(2 * math.pi * t / 288) + dice.gauss(0, 0.5) for t in range(2000)]
values[1500:1510] = [90.0] * 10
rows = [[1_600_000_000 + 300 * t, f"{value:.3f}"] for t, value in enumerate(values)]
write("metrics/web/latency.csv", ["timestamp", "value"], rows)
