//! The naive rival of online placement: every pod looks at every node. `scan NODES.csv PODS.csv SEED PLACEMENTS_MAX`.
//!
//! Best fit as most schedulers define it: among the nodes that hold the pod, the one that is left with the smallest
//! share of CPU, memory and devices; ties to the first. Same tables and the same protocol as the `replay` example (a random
//! order, then pods drawn again, until 130% of the devices are asked for), in the same language, compiled the same way. It is
//! kept free of indexes on purpose, and uses no part of the project. Prints one JSON object.

use std::fs;
use std::process::ExitCode;

/// A node, and what is free on it.
struct Node {
    cpu: u64,
    mem: u64,
    cpu_free: u64,
    mem_free: u64,
    devices: Vec<u64>,
    model: String,
}

/// What a pod asks for.
struct Pod {
    cpu: u64,
    mem: u64,
    gpus: usize,
    milli: u64,
    models: Vec<String>,
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * count as u128) >> 64) as usize
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("failed to {why}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<String, String> {
    let [nodes, pods, seed, most] = arguments else {
        return Err("read the arguments: NODES.csv PODS.csv SEED PLACEMENTS_MAX".to_owned());
    };
    let mut nodes = read_nodes(nodes)?;
    let pods = read_pods(pods)?;
    let parse = |text: &str| text.parse::<u64>().map_err(|error| format!("read `{text}`: {error}"));
    let (mut dice, most) = (Dice(parse(seed)?), parse(most)?);
    let capacity: u64 = nodes.iter().map(|node| 1000 * node.devices.len() as u64).sum();
    let mut order: Vec<usize> = (0..pods.len()).collect();
    for last in (1..pods.len()).rev() {
        order.swap(last, dice.below(last + 1));
    }
    let (mut asked, mut allocated, mut decided, mut placed) = (0, 0, 0_u64, 0_u64);
    let begin = processor_seconds()?;
    while asked * 10 < capacity * 13 && decided < most {
        let next = order.get(decided as usize).copied();
        let pod = &pods[next.unwrap_or_else(|| dice.below(pods.len()))];
        let gpu = pod.gpus as u64 * pod.milli;
        asked += gpu;
        decided += 1;
        if place(&mut nodes, pod) {
            placed += 1;
            allocated += gpu;
        }
    }
    let seconds = processor_seconds()? - begin;
    Ok(format!(
        "{{\"nodes\": {}, \"decisions\": {decided}, \"placed\": {placed}, \"seconds\": {seconds}, \
         \"placements_per_second\": {}, \"asked_pct\": {}, \"allocated_pct\": {}}}",
        nodes.len(),
        placed as f64 / seconds,
        100.0 * asked as f64 / capacity as f64,
        100.0 * allocated as f64 / capacity as f64,
    ))
}

/// Processor time of this thread, as the kernel of Linux counts it: the `replay` example measures the same.
fn processor_seconds() -> Result<f64, String> {
    let path = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(path).map_err(|error| format!("read `{path}`: {error}"))?;
    let nanos = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanos
        .map(|nanos| nanos / 1e9)
        .ok_or_else(|| format!("understand `{path}`: `{text}`"))
}

fn place(nodes: &mut [Node], pod: &Pod) -> bool {
    let mut best: Option<(f64, usize)> = None;
    for (at, node) in nodes.iter().enumerate() {
        if fits(node, pod) {
            let left = left_over(node, pod);
            if best.is_none_or(|(least, _)| left < least) {
                best = Some((left, at));
            }
        }
    }
    let Some((_, at)) = best else { return false };
    take(&mut nodes[at], pod);
    true
}

fn fits(node: &Node, pod: &Pod) -> bool {
    node.cpu_free >= pod.cpu
        && node.mem_free >= pod.mem
        && (pod.gpus == 0
            || (pod.models.is_empty() || pod.models.contains(&node.model))
                && node.devices.iter().filter(|free| **free >= pod.milli).count() >= pod.gpus)
}

fn left_over(node: &Node, pod: &Pod) -> f64 {
    let free: u64 = node.devices.iter().sum();
    let gpu = free - pod.gpus as u64 * pod.milli;
    (node.cpu_free - pod.cpu) as f64 / node.cpu as f64
        + (node.mem_free - pod.mem) as f64 / node.mem as f64
        + gpu as f64 / (1000 * node.devices.len().max(1)) as f64
}

/// Shares go to the fullest device that holds them.
fn take(node: &mut Node, pod: &Pod) {
    node.cpu_free -= pod.cpu;
    node.mem_free -= pod.mem;
    let mut fitting: Vec<usize> = (0..node.devices.len())
        .filter(|d| node.devices[*d] >= pod.milli)
        .collect();
    fitting.sort_by_key(|d| node.devices[*d]);
    for device in fitting.into_iter().take(pod.gpus) {
        node.devices[device] -= pod.milli;
    }
}

fn read_nodes(path: &str) -> Result<Vec<Node>, String> {
    let row = |row: &Row| {
        let (cpu, mem) = (row.number("cpu_milli")?, row.number("memory_mib")?);
        let devices = vec![1000; row.number("gpu")? as usize];
        let model = row.text("model").to_owned();
        Ok(Node {
            cpu: cpu.max(1),
            mem: mem.max(1),
            cpu_free: cpu,
            mem_free: mem,
            devices,
            model,
        })
    };
    rows(path)?.iter().map(row).collect()
}

fn read_pods(path: &str) -> Result<Vec<Pod>, String> {
    let row = |row: &Row| {
        let models = row.text("gpu_spec").split('|').filter(|model| !model.is_empty());
        Ok(Pod {
            cpu: row.number("cpu_milli")?,
            mem: row.number("memory_mib")?,
            gpus: row.number("num_gpu")? as usize,
            milli: row.number("gpu_milli")?,
            models: models.map(str::to_owned).collect(),
        })
    };
    rows(path)?.iter().map(row).collect()
}

/// Fields of one line by column name. The tables have no quoted commas.
struct Row {
    fields: Vec<(String, String)>,
}

impl Row {
    fn text(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(column, _)| column == name)
            .map_or("", |(_, text)| text)
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        let text = self.text(name);
        text.parse()
            .map_err(|error| format!("read `{name}` = `{text}`: {error}"))
    }
}

fn rows(path: &str) -> Result<Vec<Row>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("read `{path}`: {error}"))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let row = |line: &str| {
        let fields = header.iter().zip(line.split(','));
        Row {
            fields: fields
                .map(|(name, text)| ((*name).to_owned(), text.trim().to_owned()))
                .collect(),
        }
    };
    Ok(lines.filter(|line| !line.is_empty()).map(row).collect())
}
