//! Workloads that the benches share. Sizes and distributions are in the header of each bench.

use skyloom::core::{Placement, Snapshot, Timestamp};
use skyloom::scheduler::{Cheapest, PlaceConfig, Policy, Problem, place};
use skyloom::{Catalogue, Error, Manifest};

/// The shop of the main example.
pub const SHOP: &str = include_str!("../../examples/shop/shop.toml");

/// A chain of `services` services with `replicas` replicas each, of half a core and a gibibyte, in the European Union.
#[must_use]
pub fn chain(services: u32, replicas: u32) -> String {
    let mut text = String::from("version = 1\nname = \"chain\"\n[residency]\nallow = [\"EU\"]\n");
    for index in 0..services {
        let depends = if index == 0 {
            String::new()
        } else {
            format!("depends_on = [\"s{}\"]\n", index - 1)
        };
        text.push_str(&format!(
            "[[service]]\nname = \"s{index}\"\nreplicas = {replicas}\n{depends}\
             resources = {{ cpu = \"500m\", memory = \"1GiB\" }}\nrun = {{ command = [\"s\"] }}\n"
        ));
    }
    text
}

/// The cheapest placement in an empty world.
///
/// # Errors
/// The scheduler's.
pub fn cheapest(manifest: &Manifest, catalogue: &Catalogue) -> Result<Placement, Error> {
    placed(manifest, catalogue, &Cheapest)
}

/// The placement of a policy in an empty world.
///
/// # Errors
/// The scheduler's.
pub fn placed(manifest: &Manifest, catalogue: &Catalogue, policy: &dyn Policy) -> Result<Placement, Error> {
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    Ok(place(
        &Problem {
            manifest,
            snapshot: &snapshot,
            catalogue,
        },
        policy,
        &PlaceConfig::new(),
    )?)
}
