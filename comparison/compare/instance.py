"""A fleet question: its two tables, its classes, and a seeded generator for readers without tables. No solver belongs here."""

import csv
import random
from collections import namedtuple
from pathlib import Path

Type = namedtuple("Type", "cloud name cpu mem gpus price")
Pod = namedtuple("Pod", "cpu mem gpus milli")

TYPE_COLUMNS = ["cloud", "type", "cpu_milli", "mem_mib", "gpus", "price"]
POD_COLUMNS = ["cpu_milli", "mem_mib", "gpus", "gpu_milli"]


class Instance:
    """Types, pods, and pods folded into classes of equal request (in order of first appearance)."""

    def __init__(self, types, pods):
        self.types = types
        self.pods = pods
        rows = {}
        for row, pod in enumerate(pods):
            rows.setdefault(pod, []).append(row)
        self.classes = list(rows)
        self.rows = list(rows.values())
        self.counts = [len(of_class) for of_class in self.rows]


def read(types_path, pods_path):
    """Both tables, as the `fleet` example reads them."""
    with open(types_path, newline="") as file:
        types = [
            Type(r["cloud"], r["type"], int(r["cpu_milli"]), int(r["mem_mib"]), int(r["gpus"]), float(r["price"]))
            for r in csv.DictReader(file)
        ]
    with open(pods_path, newline="") as file:
        pods = [Pod(*(int(r[column] or 0) for column in POD_COLUMNS)) for r in csv.DictReader(file)]
    return Instance(types, [_plain(pod) for pod in pods])


def _plain(pod):
    """A pod without devices has no share of one."""
    return pod if pod.gpus else pod._replace(milli=0)


def write(instance, folder):
    """Both tables; gives their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "types.csv", folder / "pods.csv"
    for path, header, rows in zip(paths, (TYPE_COLUMNS, POD_COLUMNS), (instance.types, instance.pods)):
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
    return paths


def part(instance, count, seed):
    """So many pods of an instance, drawn without putting back."""
    return Instance(instance.types, random.Random(seed).sample(instance.pods, count))


def generated(count, seed):
    """Log-normal pods and the types of two invented clouds.

    CPU: median 1 core, sigma 1, in steps of 50 thousandths, at most 32 cores. Memory: 1 to 8 GiB per core, uniform in the
    logarithm, in steps of 64 MiB. One pod in fifty wants devices: half a share of one, half 1, 2, 4 or 8 whole ones.
    """
    dice = random.Random(seed)
    pods = []
    for _ in range(count):
        cpu = min(32_000, max(50, round(1000 * dice.lognormvariate(0.0, 1.0) / 50) * 50))
        mem = max(64, round(cpu / 1000 * 1024 * 2 ** dice.uniform(0.0, 3.0) / 64) * 64)
        gpus, milli = 0, 0
        if dice.random() < 0.02:
            shared = dice.random() < 0.5
            gpus, milli = (1, dice.choice([100, 250, 500, 700])) if shared else (dice.choice([1, 1, 1, 2, 2, 4, 8]), 1000)
        pods.append(Pod(cpu, min(mem, 240 * 1024), gpus, milli))
    return Instance(_types(dice), pods)


def _types(dice):
    """Families of 2, 4 and 8 GiB per core in doubling sizes, priced near-linearly, and four sizes with devices."""
    types = []
    for cloud, core, gib in (("north", 0.031, 0.0042), ("south", 0.034, 0.0037)):
        for family, ratio in (("compute", 2), ("general", 4), ("memory", 8)):
            for cores in (2, 4, 8, 16, 32, 48, 64, 96):
                price = cores * core + cores * ratio * gib
                price *= dice.uniform(0.94, 1.06)
                name = f"{family}-{cores}"
                types.append(Type(cloud, name, cores * 1000, cores * ratio * 1024, 0, round(price, 4)))
        for gpus in (1, 2, 4, 8):
            cores = 12 * gpus
            price = (cores * core + cores * 8 * gib + 0.7 * gpus) * dice.uniform(0.95, 1.05)
            types.append(Type(cloud, f"device-{gpus}", cores * 1000, cores * 8 * 1024, gpus, round(price, 4)))
    return types


