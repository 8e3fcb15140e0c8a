//! Plans as Mermaid flow charts.

use skyloom_core::{Plan, Until};

use super::look::Look;

/// The plan as a Mermaid flow chart: a box per step, a hexagon per barrier, an arrow from what comes first, with what it
/// must have reached. Linear in edges; a picture is of use up to some hundred steps.
#[must_use]
pub fn render_mermaid(plan: &Plan) -> String {
    let mut text = String::from("graph LR\n");
    for step in &plan.steps {
        let class = Look::of(step).word();
        let label = escaped(&step.action.to_string());
        text += &format!("  s{}[\"{} {label}\"]:::{class}\n", step.id.0, step.id);
    }
    for (i, barrier) in plan.barriers.iter().enumerate() {
        text += &format!("  b{i}{{{{\"{}\"}}}}\n", escaped(&barrier.name));
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
    for look in Look::ALL {
        text += &format!("  classDef {} stroke:{}\n", look.word(), look.colours().0);
    }
    text
}

/// A plan is plain data and may have been written by anybody: its texts must not end the label.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => safe.push_str("#quot;"),
            '#' => safe.push_str("#35;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
