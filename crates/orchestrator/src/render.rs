//! Plans as pictures. As text a plan prints itself: `plan.to_string()`.

use skyloom_core::{Action, Plan, Until};

/// The plan as a Mermaid flow chart: a box per step, a hexagon per barrier, an arrow from what comes first, with what it
/// must have reached. Linear in edges; a picture is of use up to some hundred steps.
#[must_use]
pub fn render_mermaid(plan: &Plan) -> String {
    let mut text = String::from("graph LR\n");
    for step in &plan.steps {
        let class = match &step.action {
            Action::CreateMachine { .. } | Action::CreateReplica { .. } => "create",
            Action::AwaitReplica { .. } | Action::Gate { .. } => "wait",
            Action::DeleteReplica { .. } | Action::DeleteMachine { .. } => "delete",
        };
        text += &format!("  s{}[\"{} {}\"]:::{class}\n", step.id.0, step.id, step.action);
    }
    for (i, barrier) in plan.barriers.iter().enumerate() {
        text += &format!("  b{i}{{{{\"{}\"}}}}\n", barrier.name);
    }
    let steps = plan
        .steps
        .iter()
        .map(|s| (format!("s{}", s.id.0), &s.after, &s.after_all));
    let barriers = plan.barriers.iter().enumerate();
    let barriers = barriers.map(|(i, b)| (format!("b{i}"), &b.after, &b.after_all));
    for (target, after, after_all) in steps.chain(barriers) {
        for edge in after {
            let label = match edge.until {
                Until::Done => "",
                Until::Healthy => "|healthy|",
                Until::Completed => "|completed|",
            };
            text += &format!("  s{} -->{label} {target}\n", edge.step.0);
        }
        for barrier in after_all {
            text += &format!("  b{} --> {target}\n", barrier.0);
        }
    }
    text += "  classDef create stroke:#2a2\n  classDef delete stroke:#a22\n  classDef wait stroke:#888\n";
    text
}
