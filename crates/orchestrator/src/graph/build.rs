//! From a manifest to a graph without loops, in an order that depends on names only.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use skyloom_core::{Class, Condition, Location, Manifest, ReplicaId, ServiceName};
use thiserror::Error;

use super::cycle::{self, Cycle, CycleStep};

/// Why services have no order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Services wait for each other in a loop.
    #[error("order the services of `{source_name}`: {}", cycle.in_source(source_name))]
    Cycle {
        /// Where the manifest came from.
        source_name: String,
        /// The shortest loop.
        cycle: Cycle,
    },
    /// A service depends on one that is not there.
    #[error("order the services of `{source_name}`: `{service}`{} needs `{dependency}`, which is not there", place(source_name, *at))]
    UnknownDependency {
        /// Where the manifest came from.
        source_name: String,
        /// The service that depends.
        service: ServiceName,
        /// What it names.
        dependency: ServiceName,
        /// Where the edge was written.
        at: Option<Location>,
    },
    /// Two services have one name.
    #[error("order the services of `{source_name}`: `{service}`{} is there twice", place(source_name, *at))]
    DuplicateService {
        /// Where the manifest came from.
        source_name: String,
        /// The name.
        service: ServiceName,
        /// Where the second was written.
        at: Option<Location>,
    },
}

impl GraphError {
    /// What kind of failure it is: the manifest has to be changed.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

fn place(source: &str, at: Option<Location>) -> String {
    at.map(|at| format!(" ({source}:{at})")).unwrap_or_default()
}

/// The services of a manifest and their dependencies; has an order. Two manifests that differ only in the order of
/// their services give equal answers.
#[derive(Debug, Clone)]
pub struct ServiceGraph {
    /// Edges go from a service to what it depends on. Nodes are in the order of names.
    graph: DiGraph<Service, Edge>,
    index: BTreeMap<ServiceName, NodeIndex>,
    order: Vec<NodeIndex>,
    layer: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Service {
    name: ServiceName,
    replicas: u32,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    condition: Condition,
    at: Option<Location>,
}

impl ServiceGraph {
    /// The graph of a manifest's services. A dependency that is named twice counts once, with the stronger condition.
    /// Linear in services and dependencies when there is no loop; see [`Cycle::shortest`] for the bound otherwise.
    ///
    /// # Errors
    /// [`GraphError`] for a loop, an unknown dependency, a name used twice.
    ///
    /// ```
    /// use skyloom_core::Manifest;
    /// use skyloom_orchestrator::ServiceGraph;
    ///
    /// let text = r#"
    /// version = 1
    /// name = "shop"
    ///
    /// [[service]]
    /// name = "frontend"
    /// replicas = 2
    /// resources = { cpu = "500m", memory = "512MiB" }
    /// run = { command = ["frontend"] }
    /// depends_on = ["backend"]
    ///
    /// [[service]]
    /// name = "backend"
    /// replicas = 1
    /// resources = { cpu = "1", memory = "1GiB" }
    /// run = { command = ["backend"] }
    /// depends_on = ["frontend"]
    /// "#;
    /// let manifest = Manifest::parse(text, "shop.toml")?;
    /// let error = ServiceGraph::build(&manifest).expect_err("they wait for each other");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "order the services of `shop.toml`: `backend` (shop.toml:17:15) needs `frontend` (shop.toml:10:15) needs `backend`",
    /// );
    /// let manifest = Manifest::parse(&text.replace("depends_on = [\"frontend\"]", ""), "shop.toml")?;
    /// let graph = ServiceGraph::build(&manifest)?;
    /// assert_eq!(graph.order().map(|name| name.as_str()).collect::<Vec<_>>(), ["backend", "frontend"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(manifest: &Manifest) -> Result<Self, GraphError> {
        let mut graph = DiGraph::new();
        let index = add_services(manifest, &mut graph)?;
        add_edges(manifest, &index, &mut graph)?;
        let (order, layer) = sort(&graph);
        if order.len() < graph.node_count() {
            return Err(loop_error(manifest, &graph));
        }
        Ok(Self {
            graph,
            index,
            order,
            layer,
        })
    }

    /// All services, each after everything it depends on; services that may change places are in the order of names.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = &ServiceName> + ExactSizeIterator {
        self.order.iter().map(|node| &self.graph[*node].name)
    }

    /// Services by the length of their longest chain of dependencies: those of the first layer have none, each of the
    /// others has one in the layer before. Inside a layer in the order of names.
    #[must_use]
    pub fn layers(&self) -> Vec<Vec<&ServiceName>> {
        let count = self.layer.iter().max().map_or(0, |deepest| deepest + 1);
        let mut layers = vec![Vec::new(); count];
        for node in self.graph.node_indices() {
            layers[self.layer[node.index()]].push(&self.graph[node].name);
        }
        layers
    }

    /// What a service depends on and what it waits for, in the order of names; nothing for an unknown service.
    #[must_use]
    pub fn dependencies(&self, service: &ServiceName) -> Vec<(&ServiceName, Condition)> {
        self.around(service, Direction::Outgoing)
    }

    /// What depends on a service and what for, in the order of names; nothing for an unknown service.
    #[must_use]
    pub fn dependents(&self, service: &ServiceName) -> Vec<(&ServiceName, Condition)> {
        self.around(service, Direction::Incoming)
    }

    /// Whether a service is in the graph.
    #[must_use]
    pub fn contains(&self, service: &ServiceName) -> bool {
        self.index.contains_key(service)
    }

    /// The replicas of a service, from 0; none for an unknown service.
    pub fn replicas(&self, service: &ServiceName) -> impl ExactSizeIterator<Item = ReplicaId> {
        let count = self.index.get(service).map_or(0, |node| self.graph[*node].replicas);
        let name = service.clone();
        (0..count).map(move |i| ReplicaId::new(name.clone(), i))
    }

    /// How many services there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are no services.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The graph as a Mermaid flow chart: an arrow from each service to what it needs, with the condition.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("graph LR\n");
        for node in self.graph.node_indices() {
            let Service { name, replicas } = &self.graph[node];
            text += &format!("  s{}[\"{name} x{replicas}\"]\n", node.index());
        }
        for (name, node) in &self.index {
            for (dependency, condition) in self.dependencies(name) {
                let target = self.index[dependency].index();
                text += &format!("  s{} -->|{}| s{target}\n", node.index(), condition_text(condition));
            }
        }
        text
    }

    fn around(&self, service: &ServiceName, direction: Direction) -> Vec<(&ServiceName, Condition)> {
        let Some(&node) = self.index.get(service) else {
            return Vec::new();
        };
        let mut found: Vec<_> = self
            .graph
            .edges_directed(node, direction)
            .map(|edge| {
                use petgraph::visit::EdgeRef;
                let other = if direction == Direction::Outgoing {
                    edge.target()
                } else {
                    edge.source()
                };
                (&self.graph[other].name, edge.weight().condition)
            })
            .collect();
        found.sort_unstable();
        found
    }
}

/// The word of the manifest for a condition.
pub(crate) const fn condition_text(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::Completed => "completed",
    }
}

fn add_services(
    manifest: &Manifest,
    graph: &mut DiGraph<Service, Edge>,
) -> Result<BTreeMap<ServiceName, NodeIndex>, GraphError> {
    let mut sorted: Vec<_> = manifest.services.iter().collect();
    sorted.sort_by(|a, b| (&a.name, a.at).cmp(&(&b.name, b.at)));
    let mut index = BTreeMap::new();
    for service in sorted {
        let node = graph.add_node(Service {
            name: service.name.clone(),
            replicas: service.replicas.get(),
        });
        if index.insert(service.name.clone(), node).is_some() {
            return Err(GraphError::DuplicateService {
                source_name: manifest.source.clone(),
                service: service.name.clone(),
                at: service.at,
            });
        }
    }
    Ok(index)
}

fn add_edges(
    manifest: &Manifest,
    index: &BTreeMap<ServiceName, NodeIndex>,
    graph: &mut DiGraph<Service, Edge>,
) -> Result<(), GraphError> {
    let mut edges: BTreeMap<(NodeIndex, NodeIndex), Edge> = BTreeMap::new();
    let mut services: Vec<_> = manifest.services.iter().collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    for service in services {
        for dependency in &service.depends_on {
            let Some(&target) = index.get(&dependency.service) else {
                return Err(GraphError::UnknownDependency {
                    source_name: manifest.source.clone(),
                    service: service.name.clone(),
                    dependency: dependency.service.clone(),
                    at: dependency.at,
                });
            };
            let edge = Edge {
                condition: dependency.condition,
                at: dependency.at,
            };
            let kept = edges.entry((index[&service.name], target)).or_insert(edge);
            kept.condition = kept.condition.max(edge.condition);
        }
    }
    for ((source, target), edge) in edges {
        graph.add_edge(source, target, edge);
    }
    Ok(())
}

/// Kahn's algorithm with the ready services sorted by name; shorter than the graph when there is a loop. Also the layer
/// of each sorted node. Without recursion, so that a chain of any length fits the stack.
fn sort(graph: &DiGraph<Service, Edge>) -> (Vec<NodeIndex>, Vec<usize>) {
    let degree = |node| graph.neighbors_directed(node, Direction::Outgoing).count();
    let mut waiting: Vec<usize> = graph.node_indices().map(degree).collect();
    let mut layer = vec![0; graph.node_count()];
    let mut ready: BTreeSet<NodeIndex> = graph.node_indices().filter(|n| waiting[n.index()] == 0).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for dependent in graph.neighbors_directed(node, Direction::Incoming) {
            layer[dependent.index()] = layer[dependent.index()].max(layer[node.index()] + 1);
            waiting[dependent.index()] -= 1;
            if waiting[dependent.index()] == 0 {
                ready.insert(dependent);
            }
        }
    }
    (order, layer)
}

fn loop_error(manifest: &Manifest, graph: &DiGraph<Service, Edge>) -> GraphError {
    let (path, shortest) = cycle::shortest(graph).expect("invariant: services without an order are on a loop");
    let following = path.iter().skip(1).chain(path.first());
    let steps = path.iter().zip(following).map(|(&from, &to)| {
        let (from, to) = (NodeIndex::new(from), NodeIndex::new(to));
        let edge = graph.find_edge(from, to).expect("invariant: a loop is made of edges");
        CycleStep {
            service: graph[from].name.clone(),
            needs: graph[to].name.clone(),
            condition: graph[edge].condition,
            at: graph[edge].at,
        }
    });
    GraphError::Cycle {
        source_name: manifest.source.clone(),
        cycle: Cycle {
            steps: steps.collect(),
            shortest,
        },
    }
}
