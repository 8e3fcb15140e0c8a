//! The graph that is measured: layers of services, each waiting for two of the layer above. A peer that is to carry out the
//! same one reads it from a file.

use std::path::Path;

use serde::Serialize;
use skyloom::Manifest;
use skyloom::core::{Condition, Dependency, EnvValue, PortSpec, Protocol, ServiceName};

use super::Failure;

/// The service that all others are like.
const ONE: &str = r#"
version = 1
name = "layers"
[[service]]
name = "model"
resources = { cpu = "1m", memory = "1MiB" }
run = { command = ["noop"] }
"#;

/// Layers of a width, the last one as wide as what is left.
#[derive(Debug, Serialize)]
pub(crate) struct Layers {
    pub(crate) nodes: usize,
    pub(crate) width: usize,
    /// For each node the earlier ones that it waits for.
    pub(crate) after: Vec<Vec<usize>>,
}

impl Layers {
    /// `width` nodes per layer; each waits for the one above it and that one's neighbour. Widths beyond `nodes` give one
    /// layer, a width of 1 a chain.
    pub(crate) fn new(nodes: usize, width: usize) -> Self {
        let after = (0..nodes).map(|node| {
            let Some(above) = (node / width).checked_sub(1) else {
                return Vec::new();
            };
            let mut needed = vec![node % width, (node + 1) % width];
            needed.dedup();
            needed.into_iter().map(|place| above * width + place).collect()
        });
        let after = after.collect();
        Self { nodes, width, after }
    }

    pub(crate) fn edges(&self) -> usize {
        self.after.iter().map(Vec::len).sum()
    }

    /// Writes the graph as one JSON object.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let written = std::fs::write(path, serde_json::to_vec(self)?);
        written.map_err(|error| format!("write `{}`: {error}", path.display()).into())
    }

    /// The graph as a manifest; with `ports` each service has one, and is told the addresses of those that it waits for.
    /// Made from one service that is read as text, because a text may name ten thousand at most.
    pub(crate) fn manifest(&self, ports: bool) -> Result<Manifest, Failure> {
        let mut manifest = Manifest::parse(ONE, "layers.toml")?;
        let model = manifest.services.remove(0);
        let name = |node: usize| ServiceName::new(format!("n{node}"));
        for (node, after) in self.after.iter().enumerate() {
            let mut service = model.clone();
            service.name = name(node)?;
            if ports {
                service.run.ports.push(PortSpec {
                    name: "http".parse()?,
                    protocol: Protocol::Tcp,
                    port: None,
                });
            }
            for needed in after {
                if ports {
                    let addresses = EnvValue::Text(format!("{{service.n{needed}.endpoints}}"));
                    service.run.env.insert(format!("N{needed}"), addresses);
                }
                service.depends_on.push(Dependency {
                    service: name(*needed)?,
                    condition: Condition::Healthy,
                    at: None,
                });
            }
            manifest.services.push(service);
        }
        Ok(manifest)
    }
}
