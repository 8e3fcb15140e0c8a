//! One replica is loaded; rebalancing says what it would move, what that gives, and whether it is worth it.

use std::net::SocketAddr;
use std::time::Duration;

use skyloom::core::{MicroUsd, MicroUsdPerHour, ReplicaId, ReplicaState};
use skyloom::runtime::ReplicaStatus;
use skyloom::scheduler::formulas::CostBenefit;
use skyloom::scheduler::{Rebalance as Decision, RebalanceConfig};
use skyloom::{Manifest, Skyloom, Status};

use crate::Failure;
use crate::report::Rebalance;

/// Most replicas that one rebalancing may move.
const MOVES_MAX: u32 = 2;
/// How long a better balance is counted to pay.
const HORIZON: Duration = Duration::from_secs(24 * 3600);
/// What moving one replica costs by its disruption.
const MOVE_COST: MicroUsd = MicroUsd::from_micros(50_000);
/// What an hour of full imbalance costs where the manifest names no revenue.
const IMBALANCE_COST: MicroUsdPerHour = MicroUsdPerHour::from_micros(1_000_000);

/// The replica to load, and where it can be reached: one on the machine that carries the most, where there is something
/// to move away; one without a port only where none has any.
pub(crate) fn whom_to_load(status: &Status) -> Option<(ReplicaId, Option<SocketAddr>)> {
    let neighbours = |replica: &ReplicaStatus| status.replicas.iter().filter(|o| o.machine == replica.machine).count();
    let healthy = status
        .replicas
        .iter()
        .filter(|replica| replica.state == ReplicaState::Healthy);
    let address = |replica: &ReplicaStatus| replica.endpoints.values().next().copied();
    let rank = |replica: &ReplicaStatus| (address(replica).is_some(), neighbours(replica));
    let chosen = healthy.max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.replica.cmp(&a.replica)))?;
    Some((chosen.replica.clone(), address(chosen)))
}

/// Asks for the decision while the load lasts; nothing is moved.
pub(crate) async fn rebalance(
    sky: &Skyloom,
    manifest: &Manifest,
    loaded: &ReplicaId,
) -> Result<(Rebalance, String), Failure> {
    let value = manifest.revenue.map_or(IMBALANCE_COST, |revenue| revenue.per_hour);
    let config = RebalanceConfig::new(MOVES_MAX, HORIZON, MOVE_COST, value);
    let decision = sky.rebalance_decision(&config).await?;
    let ce = match decision.ce {
        Some(CostBenefit::Ratio(ce)) => ce,
        // Nothing is moved: nothing is paid.
        _ => 0.0,
    };
    let report = Rebalance {
        loaded: loaded.to_string(),
        imbalance_before: decision.imbalance_before.rms,
        imbalance_after: decision.imbalance_after.rms,
        moves: decision.moves.len(),
        ce,
        decision: words(&decision),
    };
    let text = format!(
        "== Balance: imbalance (RMS of LB_i) {:.3}, {} moves would make it {:.3} at CE {:.4}.\n   {}\n",
        report.imbalance_before, report.moves, report.imbalance_after, report.ce, report.decision
    );
    Ok((report, text))
}

fn words(decision: &Decision) -> String {
    match &decision.refusal {
        Some(refusal) => refusal.to_string(),
        None => {
            let moves: Vec<String> = decision
                .moves
                .iter()
                .map(|m| format!("move {} from {} to {}: {}", m.replica, m.from, m.to, m.because))
                .collect();
            moves.join("; ")
        }
    }
}
