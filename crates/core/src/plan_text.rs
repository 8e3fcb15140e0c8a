//! A plan as text for people: one line per step with its sign, reason, price change and what it waits for.

use std::fmt;

use crate::plan::{Action, Plan, Step, Until};
use crate::{MicroUsdPerHour, StepId};

impl fmt::Display for Plan {
    /// A table of steps, then the prices before and after. Signs: `+` create, `-` delete, `~` create in place of an old
    /// one, `=` wait for what is there, `>` take over under a new name, `?` watch what is new.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (generation, id) = (self.snapshot.generation, self.id().short());
        writeln!(f, "plan {id} of {} from generation {generation}", self.deployment)?;
        if let Some(targets) = &self.targets {
            let list = |names: &std::collections::BTreeSet<crate::ServiceName>| {
                names
                    .iter()
                    .map(crate::ServiceName::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            write!(f, "  partial: only {}", list(&targets.services))?;
            if !targets.needs.is_empty() {
                write!(f, ", and what is missing of {}", list(&targets.needs))?;
            }
            if !targets.left_out.is_empty() {
                write!(f, "; left as it is: {}", list(&targets.left_out))?;
            }
            writeln!(f)?;
        }
        if self.is_empty() {
            writeln!(f, "  nothing to do")?;
        } else {
            self.table(f)?;
        }
        let difference = self.price_after.checked_sub(self.price_before);
        write!(f, "price {} -> {}", self.price_before, self.price_after)?;
        difference.map_or(Ok(()), |d| write!(f, " ({})", Signed(d)))
    }
}

impl Plan {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 4]> = self.steps.iter().map(|step| self.row(step)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (number, action, price) = (width(0), width(1), width(2));
        for [id, what, cost, rest] in &rows {
            let line = format!("  {id:>number$}  {what:<action$}  {cost:>price$}  {rest}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn row(&self, step: &Step) -> [String; 4] {
        let change = step.price_after.checked_sub(step.price_before);
        let price = change
            .filter(|d| *d != MicroUsdPerHour::ZERO)
            .map(|d| Signed(d).to_string());
        let waits = self.waits(step);
        let waits = if waits.is_empty() {
            String::new()
        } else {
            format!(" [after {}]", waits.join(", "))
        };
        [
            step.id.to_string(),
            signed_action(step),
            price.unwrap_or_default(),
            format!("{}{waits}", step.why),
        ]
    }

    fn waits(&self, step: &Step) -> Vec<String> {
        let edges = step.after.iter().map(|after| edge(after.step, after.until));
        let barriers = step.after_all.iter().filter_map(|id| self.barrier(*id));
        edges.chain(barriers.map(|barrier| barrier.name.clone())).collect()
    }
}

fn edge(step: StepId, until: Until) -> String {
    match until {
        Until::Done => step.to_string(),
        Until::Healthy => format!("{step} healthy"),
        Until::Completed => format!("{step} completed"),
    }
}

fn signed_action(step: &Step) -> String {
    let text = step.action.to_string();
    match (&step.action, &step.precondition) {
        (Action::CreateReplica { .. }, crate::Precondition::AbsentBut { .. }) => text.replacen('+', "~", 1),
        _ => text,
    }
}

/// A difference with its sign, also when it is a cost.
struct Signed(MicroUsdPerHour);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.0 >= MicroUsdPerHour::ZERO { "+" } else { "" };
        write!(f, "{plus}{}", self.0)
    }
}
