"""Forecasts: error and series per CPU second, ours by preset and the rivals on the same table in one run.

`python -m compare.forecast --ours PATH --peers PATH --results FOLDER [--train CSV --test CSV] [--periods 24,168] [--quick]`.
The table is generated, with a seed, when none is given: hourly series with a day and a week in them. One scorer, written
here, judges every answer; no library scores itself.
"""

import argparse
import csv
import math
import random
import sys
import time
from pathlib import Path

from compare import measure

SEED = 11
HORIZON = 48
OURS = ["auto", "fast", "ets", "mstl", "theta", "seasonal-naive"]
PEERS = ["augurs-mstl-ets", "anofox-mstl-ets", "anofox-ets", "anofox-theta"]
STATSFORECAST = ["statsforecast-ets", "statsforecast-mstl-ets", "statsforecast-theta"]


def main():
    arguments = _arguments()
    folder = arguments.results / "forecast"
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.predict:
        _statsforecast(arguments.predict, arguments.train, arguments.periods, folder)
        return
    train, test = _read(arguments.train), _read(arguments.test)
    if not train:
        train, test = _generated(20 if arguments.quick else 60)
    train, test = train[:: arguments.every], test[:: arguments.every]
    table = folder / "train.csv"
    _write(table, train)
    periods = ",".join(map(str, arguments.periods))
    rows = []
    for name in OURS + PEERS + STATSFORECAST:
        out = folder / f"{name}.csv"
        if name in OURS:
            command = [arguments.ours, "--input", table, "--horizon", HORIZON, "--periods", periods, "--out", out, "--preset", name]
        elif name in PEERS:
            command = [arguments.peers, name, table, HORIZON, periods, out]
        else:
            command = [sys.executable, "-m", "compare.forecast", "--predict", name, "--train", table, "--periods", periods]
            command += ["--ours", "-", "--peers", "-", "--results", arguments.results]
        run = measure.measured(command)
        if run["code"] != 0:
            print(f"{name} failed: {run['output'].strip().splitlines()[-1:]}")
            continue
        # Importing and compiling a Python library is not forecasting: it reports its own seconds.
        seconds = measure.load(folder / f"{name}.json")["cpu_seconds"] if name in STATSFORECAST else run["cpu_seconds"]
        rows.append({"method": name, **_score(train, test, _read(out), arguments.periods[0]), "cpu_seconds": seconds})
    measure.save(arguments.results / "forecast.json", rows)
    print(_show(rows, len(train)))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the built `forecast` example")
    parser.add_argument("--peers", required=True, help="the built `forecast-peers`")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--periods", type=lambda text: [int(p) for p in text.split(",")], default=[24, 168])
    parser.add_argument("--every", type=int, default=1, help="take every so manieth series only")
    parser.add_argument("--predict", help="one method of statsforecast, in this process")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def _statsforecast(name, table, periods, folder):
    """One method on all series, its CPU seconds without imports and without the first series, which compiles."""
    from statsforecast.models import MSTL, AutoETS, AutoTheta
    import numpy

    model = {
        "statsforecast-ets": lambda: AutoETS(season_length=periods[0]),
        "statsforecast-mstl-ets": lambda: MSTL(season_length=periods, trend_forecaster=AutoETS(model="ZZN")),
        "statsforecast-theta": lambda: AutoTheta(season_length=periods[0]),
    }[name]
    rows = _read(table)
    predict = lambda values: model().forecast(y=numpy.array(values), h=HORIZON)["mean"]
    predict(rows[0][1])
    begin = time.process_time()
    points = [(key, predict(values)) for key, values in rows]
    measure.save(folder / f"{name}.json", {"cpu_seconds": time.process_time() - begin})
    _write(folder / f"{name}.csv", points)


def _generated(count):
    """Hourly series: a day whose swing depends on the weekday, persistent noise, a slow level; some near zero."""
    draw = random.Random(SEED)
    train, test = [], []
    for number in range(count):
        day = [math.sin(2 * math.pi * (h - draw.uniform(5, 9)) / 24) + 0.4 * draw.gauss(0, 1) for h in range(24)]
        week = [draw.uniform(0.5, 1.4) for _ in range(7)]
        level, noise, values = draw.uniform(4, 40), 0.0, []
        for t in range(draw.choice([700, 960]) + HORIZON):
            noise = 0.85 * noise + 0.3 * draw.gauss(0, 1)
            level += 0.01 * draw.gauss(0, 1)
            values.append(max(0.0, level + 3 * day[t % 24] * week[t // 24 % 7] + noise))
        train.append((f"G{number}", values[:-HORIZON]))
        test.append((f"G{number}", values[-HORIZON:]))
    return train, test


def _score(train, test, ahead, period):
    smape = mase = 0.0
    for (_, history), (_, truth), (_, points) in zip(train, test, ahead, strict=True):
        scale = sum(abs(a - b) for a, b in zip(history[period:], history)) / (len(history) - period)
        errors = [abs(a - f) for a, f in zip(truth, points, strict=True)]
        sizes = [abs(a) + abs(f) for a, f in zip(truth, points)]
        smape += sum(200 * e / s for e, s in zip(errors, sizes) if s > 0) / len(truth)
        mase += sum(errors) / len(truth) / scale
    return {"smape": smape / len(train), "mase": mase / len(train)}


def _show(rows, series):
    naive = next(row for row in rows if row["method"] == "seasonal-naive")
    header = ["method", "sMAPE", "MASE", "relative to seasonal naive", "series per CPU second"]
    cells = [
        [
            row["method"],
            measure.number(row["smape"], 3),
            measure.number(row["mase"], 3),
            measure.number(0.5 * (row["smape"] / naive["smape"] + row["mase"] / naive["mase"]), 3),
            measure.number(series / max(row["cpu_seconds"], 1e-3), 1),
        ]
        for row in rows
    ]
    return measure.table(f"Forecasts of {series} series, {HORIZON} steps", header, cells)


def _read(path):
    if not path:
        return []
    with open(path, newline="") as file:
        return [(row[0], [float(cell) for cell in row[1:] if cell]) for row in csv.reader(file)]


def _write(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([key, *values] for key, values in rows)


if __name__ == "__main__":
    main()
