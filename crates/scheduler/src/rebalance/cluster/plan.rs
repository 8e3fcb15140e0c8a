//! The way in: a cluster and settings to a plan, whatever the goal.

use super::answer::{Plan, Refusal};
use super::book::Book;
use super::describe::Cluster;
use super::index::{ClusterError, Index, check_settings, used};
use super::report::{Draft, write};
use super::settings::{Goal, Settings};
use super::{drain, even, neighbours};
use crate::effort::Effort;
use crate::formulas::Mean;
use crate::rebalance::engine::{Board, Loads, Terms};

/// Units of work that [`plan`] may take: far more than 100,000 workloads need.
const UNITS_MAX: u64 = 1 << 36;

/// Decides what to move, within `settings`.
///
/// The plan is taken as a whole only when `saving × horizon` is at least `threshold × cost` (formula 3), which also holds
/// for each of its steps; every state on the way keeps every rule that held before; it has at most `moves_max` moves; and
/// a second run on its result plans nothing unless [`Plan::more`] is set. What breaks a rule as it is stays as it is, or
/// gets better.
///
/// In small worlds moves are weighed several at a time, exhaustively where all assignments within reach can be looked at
/// ([`Plan::exhaustive`]); in large ones by steepest descent, with exchanges of two workloads. Cost: about
/// `n + moves` times the workloads per node for `n` nodes.
///
/// ```
/// use skyloom_core::{MicroUsd, MicroUsdPerHour};
/// use skyloom_scheduler::cluster::{Cluster, Goal, Settings, apply, check, plan};
/// use std::time::Duration;
///
/// # fn read() -> Cluster {
/// #     let node = |id: &str| skyloom_scheduler::cluster::Node::new(id.parse().unwrap(), vec![8000, 32_000]);
/// #     let job = |id: &str, at: &str| skyloom_scheduler::cluster::Workload::new(id, at.parse().unwrap(), vec![2000, 4000]);
/// #     let mut cluster = Cluster::new(&["cpu", "memory"]);
/// #     cluster.nodes = vec![node("a"), node("b")];
/// #     cluster.workloads = vec![job("x", "a"), job("y", "a")];
/// #     cluster
/// # }
/// let cluster = read(); // two nodes, both workloads on the first
/// let goal = Goal::Balance { value: MicroUsdPerHour::from_micros(1_000_000) };
/// let settings = Settings::new(goal, 5, Duration::from_secs(24 * 3600), MicroUsd::from_micros(50_000));
/// let found = plan(&cluster, &settings)?;
/// assert_eq!(found.moves.len(), 1);
/// assert!(found.imbalance_after.rms < 1e-9);
/// assert!(check(&cluster, &settings, &found).is_empty());
/// assert!(plan(&apply(&cluster, &settings, &found), &settings)?.is_empty());
/// # Ok::<(), skyloom_scheduler::cluster::ClusterError>(())
/// ```
///
/// # Errors
/// [`ClusterError`] when the cluster or the settings contradict themselves.
pub fn plan(cluster: &Cluster, settings: &Settings) -> Result<Plan, ClusterError> {
    plan_within(cluster, settings, &mut Effort::units(UNITS_MAX))
}

/// As [`plan`], as far as `effort` reaches; what is found until then is a plan.
///
/// # Errors
/// As [`plan`].
pub fn plan_within(cluster: &Cluster, settings: &Settings, effort: &mut Effort<'_>) -> Result<Plan, ClusterError> {
    check_settings(cluster, settings)?;
    let index = Index::new(cluster)?;
    let start = board(&index, settings);
    let draft = match &settings.goal {
        Goal::Balance { value } => even::draft(&start, &terms(settings, *value), effort),
        Goal::Consolidate { offers } => drain::draft(&index, &start, settings, offers, effort),
        Goal::Neighbours {
            value,
            burst,
            tolerance,
        } => neighbours::draft(&index, &start, &terms(settings, *value), [*burst, *tolerance], effort),
    };
    Ok(write(&index, settings, start, draft))
}

/// The search's terms; `value` is what its measure is worth per hour.
pub(super) fn terms(settings: &Settings, value: skyloom_core::MicroUsdPerHour) -> Terms {
    Terms {
        value: over_horizon(settings, value),
        threshold: settings.threshold,
        moves_max: usize::try_from(settings.moves_max).unwrap_or(usize::MAX),
        target: None,
        together: true,
        ceiling: settings.ceiling,
        least: 1.0,
    }
}

/// A price over the horizon in micro-USD.
pub(super) fn over_horizon(settings: &Settings, price: skyloom_core::MicroUsdPerHour) -> f64 {
    price.as_usd() * 1e6 * (settings.horizon.as_secs_f64() / 3600.0)
}

fn board<'a>(index: &Index<'a>, settings: &Settings) -> Board<Book<'a>> {
    let mean = match settings.mean {
        Mean::Arithmetic => None,
        Mean::Supplied(mean) => Some(mean.get()),
    };
    let use_of = index.workloads.iter().flat_map(|w| used(w).iter().copied()).collect();
    let mut loads = Loads::new(index.dims(), use_of, mean);
    let nothing = vec![0; index.dims()];
    for node in &index.nodes {
        let other = if node.other_use.is_empty() {
            &nothing
        } else {
            &node.other_use
        };
        loads.add_node(&node.capacity, other, node.ready);
    }
    for (workload, node) in index.at.iter().enumerate() {
        loads.put(workload, *node);
    }
    let movable = index.workloads.iter().map(|w| !w.pinned).collect();
    Board::new(
        Book::new(index, settings),
        loads,
        index.at.clone(),
        movable,
        index.nodes.len(),
    )
}

/// Why nothing can be searched for at all.
pub(super) fn nothing_to_move(board: &Board<Book<'_>>) -> Option<Refusal> {
    let receivers = board.least_used().take(2).count();
    let two = board.residents.len() >= 2 && receivers >= 1;
    (!two || !board.movable.contains(&true)).then_some(Refusal::NothingToMove)
}

impl Draft<'_> {
    /// Nothing, for this reason.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            ..Self::default()
        }
    }
}
