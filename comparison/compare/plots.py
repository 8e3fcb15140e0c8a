"""The plots, from the results alone: `python -m compare.plots --results FOLDER --out FOLDER`."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot

from compare import measure

# Text as text, and no date or random names: the same results give the same bytes.
plot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "skyloom", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3})
STYLES = {
    "skyloom": ("skyloom", "tab:blue", "o-"),
    "assign": ("HiGHS assignment + first fit", "tab:orange", "s-"),
    "patterns": ("HiGHS patterns", "tab:green", "^-"),
    "ffd": ("first fit decreasing", "tab:red", "D"),
}
# What is proven is drawn no lower: the axis is logarithmic.
GAP_PERCENT_MIN = 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    fleet = measure.load(arguments.results / "fleet.json")
    if fleet:
        _fleet(arguments, fleet["pairs"])
    online = measure.load(arguments.results / "online.json")
    if online:
        _online(arguments, online)
    apply = measure.load(arguments.results / "apply.json")
    if apply:
        _apply(arguments, apply["rows"])


def _fleet(arguments, rows):
    pairs = list(dict.fromkeys(row["pair"] for row in rows))
    columns = min(3, len(pairs))
    lines = -(-len(pairs) // columns)
    figure, axes = plot.subplots(lines, columns, figsize=(3.3 * columns, 2.6 * lines), squeeze=False)
    for place in axes.flat[len(pairs) :]:
        place.set_visible(False)
    for place, pair in zip(axes.flat, pairs):
        of_pair = [row for row in rows if row["pair"] == pair]
        bound = max((row["bound"] for row in of_pair if row["bound"]), default=None)
        if bound is None:
            continue
        for method, (label, colour, style) in STYLES.items():
            points = _points(arguments, pair, method, of_pair)
            gaps = [max(GAP_PERCENT_MIN, 100 * (cost - bound) / bound) for _, cost in points]
            place.plot([when for when, _ in points], gaps, style, color=colour, label=label, markersize=3, linewidth=1)
        place.set(xscale="log", yscale="log", title=pair, xlabel="CPU seconds", ylabel="cost above best bound, %")
    axes.flat[0].legend(fontsize=6)
    _save(figure, arguments.out / "fleet-gap-over-time.svg")


def _points(arguments, pair, method, of_pair):
    """(CPU seconds, best cost so far): a peer's trace, or one point per run of ours."""
    if method == "skyloom":
        points = [(row["cpu_seconds"], row["usd_per_hour"]) for row in of_pair if row["method"] == method]
        return sorted(point for point in points if point[1])
    result = measure.load(arguments.results / "fleet" / pair.replace(" ", "-") / f"{method}.json")
    return [(when, cost) for when, cost, _ in result["trace"]] if result else []


def _online(arguments, rows):
    figure, place = plot.subplots(figsize=(4.8, 3.2))
    generated = [row for row in rows if row["cluster"] == "generated" and row["placements_per_second"]]
    for policy in dict.fromkeys(row["policy"] for row in generated):
        of_policy = [row for row in generated if row["policy"] == policy]
        nodes = [row["nodes"] for row in of_policy]
        rates = [row["placements_per_second"] for row in of_policy]
        place.plot(nodes, rates, "s--" if "scan" in policy else "o-", label=policy, markersize=3, linewidth=1)
    place.set(xscale="log", yscale="log", xlabel="nodes", ylabel="placements/s, one core")
    place.legend(fontsize=6)
    _save(figure, arguments.out / "online-placements-over-nodes.svg")


def _apply(arguments, rows):
    """CPU seconds over nodes, both axes logarithmic, beside a line of slope 1: what is parallel to it is linear."""
    figure, place = plot.subplots(figsize=(4.8, 3.2))
    layers = sorted((row for row in rows if row["width"] != 1 and row["skyloom"]), key=lambda row: row["nodes"])
    series = [
        ("skyloom apply", "o-", "tab:blue", "skyloom", "apply_cpu_seconds"),
        ("skyloom plan", "o--", "tab:blue", "skyloom", "plan_cpu_seconds"),
        ("skyloom, nothing to do", "o:", "tab:blue", "skyloom", "second_plan_cpu_seconds"),
    ]
    for label, style, colour, who, key in series:
        points = [(row["nodes"], row[who][key]) for row in layers]
        place.plot(*zip(*points), style, color=colour, label=label, markersize=3, linewidth=1)
    for label, style, command in [("Terraform apply", "s-", "apply"), ("Terraform plan", "s--", "plan")]:
        ended = [row for row in layers if row["terraform"] and row["terraform"].get(command, {}).get("is_finished")]
        points = [(row["nodes"], row["terraform"][command]["cpu_seconds"]) for row in ended]
        if points:
            place.plot(*zip(*points), style, color="tab:red", label=label, markersize=3, linewidth=1)
    first, last = layers[0]["nodes"], layers[-1]["nodes"]
    per_node = layers[-1]["skyloom"]["apply_cpu_seconds"] / last
    ends = [first * per_node, last * per_node]
    place.plot([first, last], ends, "-", color="grey", alpha=0.5, label="linear", linewidth=3, zorder=0)
    place.set(xscale="log", yscale="log", xlabel="nodes, in layers of 50", ylabel="CPU seconds")
    place.legend(fontsize=6)
    _save(figure, arguments.out / "apply-growth.svg")


def _save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plot.close(figure)


if __name__ == "__main__":
    main()
