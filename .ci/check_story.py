"""Checks what the main example prints as JSON: keys, kinds, and figures that must agree with each other."""

import json
import math
import sys


def fail(what):
    sys.exit(f"the example's JSON is wrong: {what}")


def check(holds, what):
    if not holds:
        fail(what)


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_placement(story):
    placement = story["placement"]
    check(len(placement) == 7, f"{len(placement)} placements")
    for entry in placement:
        missing = {"service", "replica", "cloud", "region", "instance", "usd_per_hour"} - entry.keys()
        check(not missing, f"a placement lacks {missing}")
        check(number(entry["usd_per_hour"]) and entry["usd_per_hour"] > 0, "a share is not a price")
    clouds = {entry["cloud"] for entry in placement}
    check(clouds, "no cloud")
    return sum(entry["usd_per_hour"] for entry in placement)


def check_plan(plan):
    shares = check_placement(plan)
    machines = sum(machine["usd_per_hour"] for machine in plan["machines"])
    check(abs(shares - machines) < 1e-6, f"shares {shares} and machines {machines} differ")
    check(abs(plan["usd_per_hour"] - machines) < 1e-6, "the total is not the sum of the machines")
    check(plan["unplaced"] == [], "replicas without a place")


def check_story(story):
    check_placement(story)
    check(story["running"] == 7, "not all replicas run")
    healed = story["healed"]
    check(healed["killed"] != healed["replaced"] and number(healed["seconds"]), "nothing was healed")
    rebalance = story["rebalance"]
    check(all(number(rebalance[key]) for key in ("imbalance_before", "imbalance_after", "moves", "ce")), "rebalance")
    sync = story["sync"]
    check(sync["verified"] is True and sync["objects"] > 1, "the data was not verified")
    check(0 < sync["bytes_second"] < sync["bytes_first"], "more than the change moved")
    check(isinstance(story["forecast"], dict) and isinstance(story["anomaly"], dict), "no insight")
    check(story["denied"] is True, "the stranger was not denied")
    check(story["audit"]["verified"] is True and story["audit"]["records"] > 0, "the audit trail does not verify")
    check(story["left_behind"] == 0, "something was left behind")


def main():
    arguments = sys.argv[1:]
    plan_only = "--plan" in arguments
    path = next(argument for argument in arguments if not argument.startswith("--"))
    with open(path, encoding="utf-8") as file:
        story = json.load(file)
    (check_plan if plan_only else check_story)(story)
    print("the example's JSON is as promised")


main()
