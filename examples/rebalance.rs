//! Rebalancing a cluster from a file, or a random one: few moves, each worth what it costs, or a polite refusal.
//!
//! The reader learns what a [`skyloom::scheduler::cluster::Cluster`] looks like, what the three goals do with it, and how
//! a plan explains itself: `rebalance --random 1000 10000 --seed 1 --moves 50 --horizon 24h --move-cost 0.05 --threshold 2`.
//! With `--json` the answer is one object; `docs/scheduler/rebalancing.md` names its fields. The chapter ends with an
//! independent check of the plan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use serde::Serialize;
use skyloom::core::{MicroUsd, MicroUsdPerHour};
use skyloom::scheduler::cluster::{Cluster, Goal, Node, Offer, Plan, Settings, Spread, Workload, check, plan};
use skyloom::scheduler::formulas::Imbalance;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Plans few moves that are worth what they cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The cluster as JSON.
    #[arg(long, conflicts_with = "random", required_unless_present = "random")]
    input: Option<PathBuf>,
    /// A random cluster of so many nodes and workloads.
    #[arg(long, num_args = 2, value_names = ["NODES", "WORKLOADS"])]
    random: Option<Vec<u64>>,
    /// Seed of the random cluster.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the random cluster to a file, in the form that `--input` reads.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Most moves.
    #[arg(long)]
    moves: u32,
    /// How long a saving is counted: `24h`, `30m`, `7d`; a bare number is hours.
    #[arg(long, value_parser = horizon)]
    horizon: Duration,
    /// What a move costs in USD, where the workload does not say.
    #[arg(long)]
    move_cost: MicroUsd,
    /// Saving over cost that is asked for.
    #[arg(long, default_value_t = 1.0)]
    threshold: f64,
    /// What the moves are for.
    #[arg(long, value_enum, default_value_t = Aim::Balance)]
    goal: Aim,
    /// USD per hour: for `balance` what an imbalance of 1 costs (default: what the cluster costs), for `neighbours` what
    /// a workload that stands still costs (default: 1).
    #[arg(long)]
    value: Option<MicroUsdPerHour>,
    /// For `consolidate`: machines that may be bought, as JSON.
    #[arg(long)]
    offers: Option<PathBuf>,
    /// For `neighbours`: use over request beyond which a workload is noisy.
    #[arg(long, default_value_t = 1.2)]
    burst: f64,
    /// For `neighbours`: slow-downs up to this count as none.
    #[arg(long, default_value_t = 0.02)]
    tolerance: f64,
    /// The part of a receiver that may be used.
    #[arg(long, default_value_t = 1.0)]
    ceiling: f64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Aim {
    Balance,
    Consolidate,
    Neighbours,
}

/// One move as it is printed.
#[derive(Debug, Serialize)]
struct MoveRow {
    workload: String,
    from: String,
    to: String,
    saving_usd: f64,
    cost_usd: f64,
    step: usize,
    rms_before: f64,
    rms_after: f64,
    why: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    goal: Aim,
    nodes: usize,
    workloads: usize,
    imbalance_before: Imbalance,
    imbalance_after: Imbalance,
    usd_per_hour_before: f64,
    usd_per_hour_after: f64,
    saving_usd: f64,
    cost_usd: f64,
    /// Cost over saving; absent when nothing is done.
    ce: Option<f64>,
    moves: Vec<MoveRow>,
    steps: usize,
    given_back: Vec<String>,
    bought: Vec<String>,
    refusal: Option<String>,
    more: bool,
    exhaustive: bool,
    seconds: f64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("failed to {failure}");
            let mut cause = failure.source();
            while let Some(inner) = cause {
                eprint!(": {inner}");
                cause = inner.source();
            }
            eprintln!();
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let cluster = cluster(arguments)?;
    let settings = settings(arguments, &cluster)?;
    let started = Instant::now();
    let plan = plan(&cluster, &settings)?;
    let seconds = started.elapsed().as_secs_f64();
    let answer = answer(arguments.goal, &cluster, &plan, seconds);
    if arguments.json {
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        show(&answer);
    }
    // The chapter's assertion: by names and plain counting, the plan keeps every rule and adds up.
    let breaches = check(&cluster, &settings, &plan);
    match breaches.first() {
        None => Ok(()),
        Some(first) => Err(format!("keep all rules: {} breaches, the first: {first}", breaches.len()).into()),
    }
}

fn horizon(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" | "" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("`{unit}` is not s, m, h or d")),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("`{number}` is not a number"))?;
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

fn read<T: serde::de::DeserializeOwned>(path: &PathBuf) -> Result<T, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("read `{}`: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("understand `{}`: {e}", path.display()).into())
}

fn cluster(arguments: &Arguments) -> Result<Cluster, Failure> {
    if let Some(path) = &arguments.input {
        return read(path);
    }
    let sizes = arguments.random.as_deref().unwrap_or_default();
    let [nodes, workloads] = sizes else {
        return Err("read how many nodes and workloads there are".into());
    };
    if *nodes == 0 || *nodes > 1_000_000 || *workloads > 10_000_000 {
        return Err("make that cluster: 1 to 1,000,000 nodes and at most 10,000,000 workloads are possible".into());
    }
    let cluster = random(*nodes, *workloads, arguments.seed)?;
    if let Some(path) = &arguments.save {
        std::fs::write(path, serde_json::to_vec(&cluster)?).map_err(|e| format!("write `{}`: {e}", path.display()))?;
    }
    Ok(cluster)
}

fn settings(arguments: &Arguments, cluster: &Cluster) -> Result<Settings, Failure> {
    let fleet = MicroUsdPerHour::checked_sum(cluster.nodes.iter().map(|n| n.price)).unwrap_or(MicroUsdPerHour::MAX);
    let one = MicroUsdPerHour::from_micros(1_000_000);
    let goal = match arguments.goal {
        Aim::Balance => Goal::Balance {
            value: arguments
                .value
                .unwrap_or(if fleet > MicroUsdPerHour::ZERO { fleet } else { one }),
        },
        Aim::Consolidate => Goal::Consolidate {
            offers: arguments.offers.as_ref().map_or(Ok(Vec::new()), read::<Vec<Offer>>)?,
        },
        Aim::Neighbours => Goal::Neighbours {
            value: arguments.value.unwrap_or(one),
            burst: arguments.burst,
            tolerance: arguments.tolerance,
        },
    };
    Ok(
        Settings::new(goal, arguments.moves, arguments.horizon, arguments.move_cost)
            .with_threshold(arguments.threshold)
            .with_ceiling(arguments.ceiling),
    )
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Dice(u64);

impl Dice {
    const fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Nodes of 8 to 32 cores in three zones, and workloads of up to 2 cores, a third of them in services that are spread or
/// kept apart. The first nodes are filled more than the last; some workloads use more than they request, and some are
/// slowed by their neighbours.
fn random(nodes: u64, workloads: u64, seed: u64) -> Result<Cluster, Failure> {
    let mut dice = Dice(seed);
    let mut cluster = Cluster::new(&["cpu", "memory"]);
    for number in 0..nodes {
        let size = 1 << dice.roll(3);
        let mut node = Node::new(format!("node-{number:06}").parse()?, vec![8000 * size, 32_000 * size]);
        node.price = MicroUsdPerHour::from_micros(i64::try_from(320_000 * size + dice.roll(20_000) * size)?);
        node.domains.insert("zone".to_owned(), format!("z{}", number % 3));
        cluster.nodes.push(node);
    }
    let mut free: Vec<[u64; 2]> = cluster.nodes.iter().map(|n| [n.capacity[0], n.capacity[1]]).collect();
    for number in 0..workloads {
        let request = [100 + 100 * dice.roll(20), 256 * (1 + dice.roll(24))];
        let Some(at) = seat(&mut dice, &free, request) else {
            break;
        };
        free[at] = [free[at][0] - request[0], free[at][1] - request[1]];
        let mut workload = Workload::new(
            format!("job-{number:07}"),
            cluster.nodes[at].id.clone(),
            request.to_vec(),
        );
        workload.used = Some(request.map(|r| r * (20 + dice.roll(70)) / 100).to_vec());
        match dice.roll(60) {
            0 => workload.used = Some(request.map(|r| r * 3 / 2).to_vec()),
            1 => workload.slowed = Some(0.25),
            2 => workload.pinned = true,
            3..20 => {
                let service = format!("service-{}", number % (workloads / 20 + 1));
                workload.groups.insert(service.clone());
                if number % 2 == 0 {
                    workload.apart_from.insert(service);
                }
            }
            _ => {}
        }
        cluster.workloads.push(workload);
    }
    cluster.spread = (0..4)
        .map(|service| Spread {
            group: format!("service-{service}"),
            over: "zone".to_owned(),
            max_skew: 2,
        })
        .collect();
    Ok(cluster)
}

/// A node with room for a request: the lower numbers more often than the higher ones.
fn seat(dice: &mut Dice, free: &[[u64; 2]], request: [u64; 2]) -> Option<usize> {
    let count = u64::try_from(free.len()).ok()?;
    let room = |node: &usize| free[*node][0] >= request[0] && free[*node][1] >= request[1];
    let drawn = (0..20)
        .map(|_| dice.roll(count).min(dice.roll(count)))
        .find_map(|n| usize::try_from(n).ok().filter(room));
    drawn.or_else(|| (0..free.len()).find(room))
}

fn answer(goal: Aim, cluster: &Cluster, plan: &Plan, seconds: f64) -> Answer {
    let row = |step: &skyloom::scheduler::cluster::Move| MoveRow {
        workload: step.workload.to_string(),
        from: step.from.to_string(),
        to: step.to.to_string(),
        saving_usd: step.saving.as_usd(),
        cost_usd: step.cost.as_usd(),
        step: step.step,
        rms_before: step.rms_before,
        rms_after: step.rms_after,
        why: step.to_string(),
    };
    Answer {
        goal,
        nodes: cluster.nodes.len(),
        workloads: cluster.workloads.len(),
        imbalance_before: plan.imbalance_before,
        imbalance_after: plan.imbalance_after,
        usd_per_hour_before: plan.price_before.as_usd(),
        usd_per_hour_after: plan.price_after.as_usd(),
        saving_usd: plan.saving.as_usd(),
        cost_usd: plan.cost.as_usd(),
        ce: plan.ce.and_then(|ce| ce.ratio()),
        moves: plan.moves.iter().map(row).collect(),
        steps: plan.steps.len(),
        given_back: plan.given_back.iter().map(|g| g.node.to_string()).collect(),
        bought: plan
            .bought
            .iter()
            .map(|b| format!("{} ({})", b.node, b.offer))
            .collect(),
        refusal: plan.refusal.as_ref().map(ToString::to_string),
        more: plan.more,
        exhaustive: plan.exhaustive,
        seconds,
    }
}

fn show(answer: &Answer) {
    const SHOWN: usize = 20;
    println!("{} nodes, {} workloads", answer.nodes, answer.workloads);
    println!(
        "before: {}; {:.4} USD/h",
        answer.imbalance_before, answer.usd_per_hour_before
    );
    println!(
        "after:  {}; {:.4} USD/h",
        answer.imbalance_after, answer.usd_per_hour_after
    );
    for row in answer.moves.iter().take(SHOWN) {
        println!("  {}", row.why);
    }
    if answer.moves.len() > SHOWN {
        println!("  and {} more", answer.moves.len() - SHOWN);
    }
    let mut sites: BTreeMap<&str, usize> = BTreeMap::new();
    for (what, count) in [("given back", answer.given_back.len()), ("bought", answer.bought.len())] {
        sites.insert(what, count);
    }
    println!(
        "{} moves in {} steps; {} nodes given back, {} bought",
        answer.moves.len(),
        answer.steps,
        sites["given back"],
        sites["bought"]
    );
    match (&answer.refusal, answer.ce) {
        (Some(refusal), _) => println!("nothing is done: {refusal}"),
        (None, ce) => println!(
            "saves {:.4} USD over the horizon for {:.4} USD: CE {:.4}",
            answer.saving_usd,
            answer.cost_usd,
            ce.unwrap_or(0.0)
        ),
    }
    if answer.more {
        println!("more moves would be worth it");
    }
    println!("{:.3} s", answer.seconds);
}
