//! Whether the edges of a plan respect the services' dependencies: an oracle that shares no code with the planner.

use std::collections::BTreeSet;

use skyloom_core::{Action, Condition, Manifest, Plan, Step, StepId, Until};

/// What is wrong with the order of `plan` for `manifest`, one line each; empty when nothing is.
///
/// For every step that creates a replica: it waits, directly or through other steps, for its machine if the plan buys
/// it; and it waits directly for every replica of every service it depends on that the plan creates, until what the
/// dependency asks for. Every edge names an earlier step. Quadratic in steps: for small plans.
#[must_use]
pub fn order_violations(manifest: &Manifest, plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    for step in &plan.steps {
        for after in plan.all_after(step) {
            if after.step >= step.id {
                wrong.push(format!("{} waits for {}, which is not earlier", step.id, after.step));
            }
        }
        if let Action::CreateReplica { spec } = &step.action {
            let comes_before = all_before(plan, step);
            for other in &plan.steps {
                let is_own = matches!(&other.action, Action::CreateMachine { machine } if machine.id == spec.machine);
                if is_own && !comes_before.contains(&other.id) {
                    wrong.push(format!(
                        "{} does not wait for its machine {}",
                        spec.replica, spec.machine
                    ));
                }
            }
            wrong.extend(missing_dependencies(manifest, plan, step));
        }
    }
    wrong
}

fn missing_dependencies(manifest: &Manifest, plan: &Plan, step: &Step) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(replica) = step.action.replica() else {
        return wrong;
    };
    let Some(service) = manifest.service(replica.service()) else {
        return vec![format!("{replica} is of no service")];
    };
    let edges = plan.all_after(step);
    for dependency in &service.depends_on {
        let asked = match dependency.condition {
            Condition::Started => Until::Done,
            Condition::Healthy => Until::Healthy,
            Condition::Completed => Until::Completed,
        };
        for other in &plan.steps {
            let Action::CreateReplica { spec } = &other.action else {
                continue;
            };
            let waits = edges.iter().any(|edge| edge.step == other.id && edge.until == asked);
            if *spec.replica.service() == dependency.service && !waits {
                wrong.push(format!("{replica} does not wait for {} until {asked:?}", spec.replica));
            }
        }
    }
    wrong
}

/// All steps that must have come before this one.
fn all_before(plan: &Plan, step: &Step) -> BTreeSet<StepId> {
    let mut before = BTreeSet::new();
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        for after in plan.all_after(step) {
            if before.insert(after.step) {
                open.extend(plan.step(after.step));
            }
        }
    }
    before
}
