//! The purchase as JSON for programs and as a table for people. Nothing is decided here.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use skyloom::scheduler::fleet::{BoughtMachine, FleetAnswer, FleetProblem, LeftOutReason};

use crate::decimal::{Decimal, billionths};
use crate::sheets::{Names, TypeName};

/// Most kinds of machines that the table lists.
const LINES_MAX: usize = 40;

/// An answer with what it needs to be told.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) names: &'a Names,
    pub(crate) problem: &'a FleetProblem,
    pub(crate) answer: &'a FleetAnswer,
    pub(crate) seconds: f64,
}

impl Report<'_> {
    /// Writes the JSON. Amounts of money are exact: a bound is never printed above what is proven.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let failed = |cause: io::Error| format!("write {}: {cause}", path.display());
        let file = std::fs::File::create(path).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        self.write_to(&mut out).and_then(|()| out.flush()).map_err(failed)
    }

    /// By hand, machine by machine: a million pods need no second copy in memory.
    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let answer = self.answer;
        writeln!(out, "{{\n  \"usd_per_hour\": {},", billionths(answer.nano_usd_per_hour))?;
        let bound = billionths(answer.lower_bound_nano_usd_per_hour);
        writeln!(
            out,
            "  \"lower_bound_usd_per_hour\": {bound},\n  \"gap\": {},",
            self.gap()
        )?;
        write!(out, "  \"seconds\": {:.3},\n  \"nodes\": [", self.seconds)?;
        let names: Vec<String> = self.names.types.iter().map(json_name).collect();
        for (at, machine) in answer.machines.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let price = billionths(u128::from(self.problem.offers[machine.offer].nano_usd_per_hour));
            write!(
                out,
                "{comma}\n    {{{}, \"usd_per_hour\": {price}, \"pods\": [",
                names[machine.offer]
            )?;
            write_pods(out, machine)?;
            write!(out, "]}}")?;
        }
        write!(out, "\n  ],\n  \"unplaced\": [")?;
        for (at, entry) in answer.left_out.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let reason = serde_json::Value::from(self.reason(&entry.reason));
            write!(
                out,
                "{comma}\n    {{\"row\": {}, \"reason\": {reason}}}",
                entry.workload
            )?;
        }
        writeln!(out, "\n  ]\n}}")
    }

    /// A finite number also where the bound is zero and the cost is not: then a billionth of a dollar stands for it.
    fn gap(&self) -> f64 {
        let gap = self.answer.gap();
        if gap.is_finite() {
            gap
        } else {
            billions(self.answer.nano_usd_per_hour) * 1e9
        }
    }

    fn reason(&self, reason: &LeftOutReason) -> String {
        match reason {
            LeftOutReason::NoEligibleOffer => "no type may carry it".to_owned(),
            LeftOutReason::TooLarge {
                dimension,
                needs,
                largest,
            } => {
                let at = self.problem.dimensions.iter().position(|name| name == dimension);
                let decimals = at.map_or(0, |at| self.names.decimals[at]);
                let (needs, largest) = (Decimal::of(*needs, decimals), Decimal::of(*largest, decimals));
                format!("needs {needs} of {dimension}, the largest type has {largest}")
            }
            LeftOutReason::Limited { limits } => format!("used up: {}", limits.join(", ")),
            other => format!("{other:?}"),
        }
    }

    pub(crate) fn show(&self) {
        let mut kinds: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        for machine in &self.answer.machines {
            let (machines, pods) = kinds.entry(machine.offer).or_default();
            *machines += 1;
            *pods += machine.residents.len() as u64;
        }
        let price = |offer: usize| u128::from(self.problem.offers[offer].nano_usd_per_hour);
        let mut lines: Vec<_> = kinds
            .into_iter()
            .map(|(offer, (machines, pods))| (price(offer) * u128::from(machines), offer, machines, pods))
            .collect();
        lines.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        println!("{:>8} {:>8} {:>14}  type", "machines", "pods", "USD/h");
        for (cost, offer, machines, pods) in lines.iter().take(LINES_MAX) {
            let TypeName { cloud, name } = &self.names.types[*offer];
            println!("{machines:>8} {pods:>8} {:>14.4}  {cloud} {name}", billions(*cost));
        }
        if lines.len() > LINES_MAX {
            println!("… and {} further types", lines.len() - LINES_MAX);
        }
        println!(
            "{} machines, {:.4} USD/h; none cheaper than {:.4} USD/h can hold this: gap {:.3}%",
            self.answer.machines.len(),
            billions(self.answer.nano_usd_per_hour),
            billions(self.answer.lower_bound_nano_usd_per_hour),
            self.gap() * 100.0
        );
        if let Some(first) = self.answer.left_out.first() {
            let (number, row) = (self.answer.left_out.len(), first.workload);
            println!(
                "{number} pods have no machine, the first of them row {row}: {}",
                self.reason(&first.reason)
            );
        }
        println!("{:.2} s", self.seconds);
    }
}

fn json_name(name: &TypeName) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    format!("\"cloud\": {}, \"type\": {}", text(&name.cloud), text(&name.name))
}

fn write_pods(out: &mut impl Write, machine: &BoughtMachine) -> io::Result<()> {
    for (at, resident) in machine.residents.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        write!(out, "{comma}{{\"row\": {}, \"gpus\": [", resident.workload)?;
        for (at, device) in resident.devices.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(out, "{comma}{device}")?;
        }
        write!(out, "]}}")?;
    }
    Ok(())
}

/// For people; programs get the exact text.
#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn billions(nano: u128) -> f64 {
    nano as f64 / 1e9
}
