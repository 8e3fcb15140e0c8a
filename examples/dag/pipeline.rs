//! The demonstration: a pipeline that reads two data sets, trains and publishes, over the built-in catalogue.
//!
//! Every machine type of every region that is large enough for a task is a candidate; a task takes as long as its share of
//! parallel work and the type's CPUs (or devices) have it. Planning does not belong here.

use skyloom::Catalogue;
use skyloom::core::{Bytes, Offer};
use skyloom::scheduler::dag::{Candidate, Dag, DataSet, Edge, NodeId, Task};

use crate::Failure;

/// What a task asks for.
struct Need {
    id: &'static str,
    vcpus: u64,
    gib: u64,
    /// Whole devices.
    gpus: u64,
    /// Hours on the smallest machine that will do.
    hours: f64,
    nodes: u32,
}

const NEEDS: [Need; 6] = [
    need("ingest", 4, 8, 0, 2.0, 1),
    need("clean", 8, 32, 0, 4.0, 2),
    need("features", 16, 64, 0, 3.0, 1),
    need("train", 8, 32, 1, 10.0, 2),
    need("evaluate", 4, 16, 0, 1.5, 1),
    need("publish", 2, 4, 0, 0.5, 1),
];

const EDGES: [(&str, &str, u32); 9] = [
    ("events", "ingest", 120),
    ("labels", "features", 8),
    ("ingest", "clean", 90),
    ("clean", "features", 60),
    ("features", "train", 40),
    ("features", "evaluate", 5),
    ("train", "evaluate", 2),
    ("evaluate", "publish", 1),
    ("publish", "site", 1),
];

const DATA: [(&str, &str); 3] = [
    ("events", "aws/us-east-1"),
    ("labels", "gcp/us-central1"),
    ("site", "azure/westeurope"),
];

const fn need(id: &'static str, vcpus: u64, gib: u64, gpus: u64, hours: f64, nodes: u32) -> Need {
    Need {
        id,
        vcpus,
        gib,
        gpus,
        hours,
        nodes,
    }
}

/// The pipeline.
pub(crate) fn pipeline(catalogue: &Catalogue) -> Result<Dag, Failure> {
    let data = |(id, region): &(&str, &str)| -> Result<DataSet, Failure> {
        Ok(DataSet {
            id: NodeId::new(*id),
            region: region.parse()?,
        })
    };
    let edge = |(from, to, gib): &(&str, &str, u32)| Edge {
        from: NodeId::new(*from),
        to: NodeId::new(*to),
        bytes: Bytes::from_gib(*gib),
    };
    Ok(Dag {
        tasks: NEEDS.iter().map(|need| task(catalogue, need)).collect(),
        data: DATA.iter().map(data).collect::<Result<_, _>>()?,
        edges: EDGES.iter().map(edge).collect(),
    })
}

fn task(catalogue: &Catalogue, need: &Need) -> Task {
    let candidates = catalogue.offers().iter().filter_map(|offer| candidate(offer, need));
    Task::new(NodeId::new(need.id), candidates.collect())
}

/// Amdahl: a tenth of the work does not get faster with more CPUs.
fn candidate(offer: &Offer, need: &Need) -> Option<Candidate> {
    const SERIAL: f64 = 0.1;
    let capacity = &offer.capacity;
    let fits = capacity.cpu.as_millicores() >= need.vcpus * 1000
        && capacity.memory.as_bytes() >= need.gib << 30
        && capacity.gpu.as_milligpus() >= need.gpus * 1000;
    let (has, asked) = match need.gpus {
        0 => (capacity.cpu.as_millicores(), need.vcpus * 1000),
        gpus => (capacity.gpu.as_milligpus(), gpus * 1000),
    };
    let ratio = f64::from(u32::try_from(has).ok()?) / f64::from(u32::try_from(asked).ok()?);
    let hours = need.hours * (SERIAL + (1.0 - SERIAL) / ratio);
    fits.then_some(())?;
    Some(Candidate {
        offer: offer.key.instance.to_string(),
        region: offer.key.region.clone(),
        per_hour: offer.on_demand?.per_hour,
        run_seconds: (hours * 3600.0).round(),
        nodes: need.nodes,
    })
}
