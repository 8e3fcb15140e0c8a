"""SkyPilot's optimizer on one graph, without an account or a network: `python -m compare.skypilot GRAPH OUT`.

The optimizer itself is untouched. Replaced is the question which clouds this user has access to (three of them), and the
steps are wrapped to take their processor time, the CBC process included. Run it in a process of its own.
"""

import json
import resource
import sys

import sky
from sky import check, clouds, optimizer


def processor_seconds():
    """Of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main():
    graph_path, out_path = sys.argv[1:]
    with open(graph_path) as file:
        graph = json.load(file)
    enabled = {"aws": clouds.AWS(), "azure": clouds.Azure(), "gcp": clouds.GCP()}
    check.get_cached_enabled_clouds_or_refresh = lambda *_args, **_named: list(enabled.values())
    steps = {}
    for name in ("_estimate_nodes_cost_or_time", "_optimize_by_dp", "_optimize_by_ilp"):
        setattr(optimizer.Optimizer, name, staticmethod(_timed(name, steps)))
    with sky.Dag() as dag:
        tasks = [_task(at, task) for at, task in enumerate(graph["tasks"])]
        for source, target in graph["edges"]:
            tasks[source] >> tasks[target]
    optimizer.Optimizer.optimize(dag, quiet=True)
    costs, _ = steps["_estimate_nodes_cost_or_time"]["result"]
    solved = steps.get("_optimize_by_dp") or steps["_optimize_by_ilp"]
    candidates = [[_candidate(chosen, usd) for chosen, usd in costs[task].items()] for task in tasks]
    plan = [list(costs[task]).index(solved["result"][0][task]) for task in tasks]
    with open(out_path, "w") as file:
        json.dump(
            {
                "enumerate_cpu_seconds": steps["_estimate_nodes_cost_or_time"]["cpu_seconds"],
                "solve_cpu_seconds": solved["cpu_seconds"],
                "objective": solved["result"][1],
                "candidates": candidates,
                "plan": plan,
            },
            file,
        )


def _timed(name, steps):
    step = getattr(optimizer.Optimizer, name)

    def timed(*args, **named):
        before = processor_seconds()
        result = step(*args, **named)
        steps[name] = {"cpu_seconds": processor_seconds() - before, "result": result}
        return result

    return timed


def _task(at, described):
    task = sky.Task(name=f"t{at}", run="true")
    regions = described["regions"] or {}
    places = [f"{cloud}/{regions[cloud]}" if regions else cloud for cloud in described["clouds"]]
    # All three clouds in any region is what SkyPilot does by itself.
    if len(places) == 3 and not regions:
        places = [None]
    sizes = {"cpus": described["cpus"], "memory": described["memory"]}
    task.set_resources({sky.Resources(infra=place, **sizes) for place in places})
    task.set_time_estimator(lambda _resources: described["seconds"])
    task.set_outputs("gs://outputs", estimated_size_gigabytes=described["output_gib"])
    return task


def _candidate(chosen, usd):
    return {
        "cloud": str(chosen.cloud).lower(),
        "region": chosen.region,
        "type": chosen.instance_type,
        "usd_per_hour": chosen.get_cost(3600),
        "usd": usd,
    }


if __name__ == "__main__":
    main()
