"""Checks what the main example prints as JSON: keys, kinds, and figures that must agree with each other."""

import json
import math
import sys

REPLICAS = 7
# Prices are whole millionths of a dollar, printed as binary fractions.
EXACT_USD = 1e-9
PLACED = {"service", "replica", "cloud", "region", "machine", "instance", "purchase", "usd_per_hour"}
MACHINE = {"id", "cloud", "region", "instance", "purchase", "usd_per_hour", "price_as_of", "utilisation", "load_balance"}
SAME = ("cloud", "region", "zone", "instance", "purchase")


def fail(what):
    sys.exit(f"the example's JSON is wrong: {what}")


def check(holds, what):
    if not holds:
        fail(what)


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_keys(entry, keys, what):
    missing = keys - entry.keys()
    check(not missing, f"{what} lacks {sorted(missing)}")


def check_machines(machines):
    check(machines, "no machine")
    for machine in machines:
        check_keys(machine, MACHINE, "a machine")
        check(number(machine["usd_per_hour"]) and machine["usd_per_hour"] > 0, f"{machine['id']} has no price")
        check(0 < machine["utilisation"] <= 1, f"{machine['id']} is used by {machine['utilisation']}")
        check(number(machine["load_balance"]), f"{machine['id']} has no load balance")
    by_id = {machine["id"]: machine for machine in machines}
    check(len(by_id) == len(machines), "two machines of one id")
    return by_id


def check_placement(story):
    """Every replica once, each on a machine of the list, and the shares of a machine are its price."""
    placement, machines = story["placement"], check_machines(story["machines"])
    check(len(placement) == REPLICAS, f"{len(placement)} placements")
    shares = {}
    for entry in placement:
        check_keys(entry, PLACED, "a placement")
        who = f"{entry['service']}/{entry['replica']}"
        check(number(entry["usd_per_hour"]) and entry["usd_per_hour"] > 0, f"the share of {who} is not a price")
        machine = machines.get(entry["machine"])
        check(machine, f"{who} is on {entry['machine']}, which is not in the list")
        for key in SAME:
            check(entry.get(key) == machine.get(key), f"{who} and its machine differ in {key}")
        shares[entry["machine"]] = shares.get(entry["machine"], 0) + entry["usd_per_hour"]
    replicas = {(entry["service"], entry["replica"]) for entry in placement}
    check(len(replicas) == len(placement), "a replica is placed twice")
    for machine_id, machine in machines.items():
        share = shares.get(machine_id, 0)
        price = machine["usd_per_hour"]
        check(abs(share - price) < EXACT_USD, f"the shares of {machine_id} are {share}, its price is {price}")
    total = sum(machine["usd_per_hour"] for machine in machines.values())
    check(abs(story["usd_per_hour"] - total) < EXACT_USD, "the total is not the sum of the machines")


def check_plan(plan):
    check_placement(plan)
    check(plan["unplaced"] == [], "replicas without a place")


def check_story(story):
    check_placement(story)
    check(story["running"] == REPLICAS, "not all replicas run")
    healed = story["healed"]
    check(healed["killed"] != healed["replaced"] and number(healed["seconds"]), "nothing was healed")
    rebalance = story["rebalance"]
    check(all(number(rebalance[key]) for key in ("imbalance_before", "imbalance_after", "moves", "ce")), "rebalance")
    sync = story["sync"]
    check(sync["verified"] is True and sync["objects"] > 1, "the data was not verified")
    check(0 < sync["bytes_second"] < sync["bytes_first"], "more than the change moved")
    forecast = story["forecast"]
    check(all(number(forecast[key]) for key in ("lo", "mid", "hi")), "the forecast has no figures")
    check(forecast["lo"] <= forecast["mid"] <= forecast["hi"], "the forecast is not inside of its interval")
    check(story["anomaly"]["flagged"] is True, "the load was not flagged")
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
