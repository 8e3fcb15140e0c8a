"""Checks what the `forecast` example wrote: every series with its horizon, every value judged, the incident found.

Usage: check_insight.py SERIES.csv HORIZON FORECAST.csv METRICS_FOLDER JUDGED_FOLDER
"""

import csv
import math
import pathlib
import sys

series, horizon, forecast, metrics, judged = sys.argv[1:]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


given, made = rows(series), rows(forecast)
assert [row[0] for row in made] == [row[0] for row in given], "series are missing or in another order"
for row in made:
    assert len(row) == 1 + int(horizon), f"{row[0]} has {len(row) - 1} values"
    for cell in row[1:]:
        low, middle, high = map(float, cell.split("|"))
        assert math.isfinite(low) and low <= middle <= high < math.inf, f"{row[0]}: {cell}"

for path in sorted(pathlib.Path(metrics).rglob("*.csv")):
    found = rows(pathlib.Path(judged) / path.relative_to(metrics))
    assert found[0] == ["timestamp", "value", "anomaly_score", "is_anomaly", "reason"], found[0]
    assert [row[:2] for row in found[1:]] == rows(path)[1:], f"{path} came back changed"
    alarms = [at for at, row in enumerate(found[1:]) if row[3].lower() in ("1", "true")]
    assert any(1500 <= at < 1510 for at in alarms), f"the incident of {path} was not found: {alarms}"
print(f"{len(made)} forecasts and the judged files are sound")
