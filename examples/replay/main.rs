//! Replays a list of pods on a list of nodes online, as the GPU cluster trace of 2023 ("openb") is replayed in print.
//!
//! The reader learns how to drive the online placer, and how much of a cluster's GPU each policy gets to use: pods arrive
//! in random order, drawn again from the list past its end, until 130% of the GPUs have been asked for.
//! `replay --nodes openb_node_list_gpu_node.csv --pods openb_pod_list_default.csv --policy fgd --seeds 10`

mod read;
mod run;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Replays pods on nodes and prints how much GPU is allocated.
#[derive(Debug, Parser)]
struct Arguments {
    /// Nodes: sn, cpu_milli, memory_mib, gpu, model.
    #[arg(long)]
    nodes: PathBuf,
    /// Pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, and optionally gpu_spec (models joined by `|`).
    #[arg(long)]
    pods: PathBuf,
    /// A policy of the table; a wrong name lists them.
    #[arg(long)]
    policy: String,
    /// How many orders of arrival; results are means over them.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Do not tell the policy which kinds of pods to expect; it learns them as they come.
    #[arg(long)]
    untold: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match replay(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn replay(arguments: &Arguments) -> Result<(), Failure> {
    let nodes = read::nodes(&arguments.nodes)?;
    let pods = read::pods(&arguments.pods)?;
    if arguments.seeds == 0 {
        return Err("replay no seed: `--seeds` is at least 1".into());
    }
    let mut runs = Vec::new();
    for seed in 1..=arguments.seeds {
        runs.push(run::run(&nodes, &pods, &arguments.policy, seed, !arguments.untold)?);
    }
    let report = show::Report::new(&arguments.policy, &nodes, &runs);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.show();
    }
    Ok(())
}
