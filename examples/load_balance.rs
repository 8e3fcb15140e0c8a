//! Formula 2 on utilisations from the command line: how balanced machines are, and where load should go.
//!
//! The reader learns what `LB_i` says and what a caller who supplies the mean, or names the receiver, changes:
//! `load_balance 0.6 0.8 0.5 0.7 0.9 --mean 0.65 --to 1` is the worked case of `docs/fidelity.md`.

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use skyloom::core::Ratio;
use skyloom::scheduler::formulas::{Imbalance, Mean, load_balances};
use skyloom::scheduler::suggest_shift;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints how balanced machines are.
#[derive(Debug, Parser)]
struct Arguments {
    /// Utilisation of each machine, 0 to 1.
    #[arg(required = true)]
    utilisation: Vec<f64>,
    /// The mean to compare with; the arithmetic mean by default (which is then shown alone).
    #[arg(long)]
    mean: Option<f64>,
    /// The machine that is to give load away, counted from 1; the most loaded by default.
    #[arg(long)]
    from: Option<usize>,
    /// The machine that is to receive load, counted from 1; the better one by default.
    #[arg(long)]
    to: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The balance against one mean.
#[derive(Debug, Serialize)]
struct Balance {
    mean: f64,
    load_balance: Vec<f64>,
    max_abs: f64,
    rms: f64,
    cv: f64,
    jain: f64,
}

/// Where load should go; machines are counted from 1.
#[derive(Debug, Serialize)]
struct Suggestion {
    from: usize,
    to: usize,
    better: usize,
    amount: f64,
    rms_before: f64,
    rms_after: f64,
    rms_after_better: f64,
    why: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    utilisation: Vec<f64>,
    /// Against the mean that was asked for.
    load_balance: Vec<f64>,
    mean: f64,
    balances: Vec<Balance>,
    shift: Option<Suggestion>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let utilisations: Vec<Ratio> = arguments
        .utilisation
        .iter()
        .map(|u| Ratio::new(*u))
        .collect::<Result<_, _>>()?;
    let asked = arguments
        .mean
        .map(Ratio::new)
        .transpose()?
        .map_or(Mean::Arithmetic, Mean::Supplied);
    let mut balances = vec![balance(&utilisations, asked)?];
    if asked != Mean::Arithmetic {
        balances.push(balance(&utilisations, Mean::Arithmetic)?);
    }
    let answer = Answer {
        utilisation: arguments.utilisation.clone(),
        load_balance: balances[0].load_balance.clone(),
        mean: balances[0].mean,
        balances,
        shift: suggestion(&utilisations, asked, arguments)?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        show(&answer);
    }
    // The chapter's assertion: formula 2 stays within its range.
    let in_range = answer
        .balances
        .iter()
        .flat_map(|b| &b.load_balance)
        .all(|lb| (-1.0..=1.0).contains(lb));
    if in_range {
        Ok(())
    } else {
        Err("keep LB within -1..=1".into())
    }
}

fn balance(utilisations: &[Ratio], mean: Mean) -> Result<Balance, Failure> {
    let imbalance = Imbalance::of(utilisations, mean)?;
    Ok(Balance {
        mean: mean.of(utilisations)?.get(),
        load_balance: load_balances(utilisations, mean)?,
        max_abs: imbalance.max_abs,
        rms: imbalance.rms,
        cv: imbalance.cv,
        jain: imbalance.jain,
    })
}

/// `None` for a single machine: there is nowhere to shift to.
fn suggestion(utilisations: &[Ratio], mean: Mean, arguments: &Arguments) -> Result<Option<Suggestion>, Failure> {
    if utilisations.len() < 2 {
        return Ok(None);
    }
    let position = |number: Option<usize>| match number {
        Some(0) => Err("find machine 0: machines are counted from 1"),
        other => Ok(other.map(|number| number - 1)),
    };
    let shift = suggest_shift(utilisations, mean, position(arguments.from)?, position(arguments.to)?)?;
    Ok(Some(Suggestion {
        from: shift.from + 1,
        to: shift.to + 1,
        better: shift.better + 1,
        amount: shift.amount.get(),
        rms_before: shift.before.rms,
        rms_after: shift.after.rms,
        rms_after_better: shift.after_better.rms,
        why: shift.to_string(),
    }))
}

fn show(answer: &Answer) {
    let row = |values: &[f64]| {
        values
            .iter()
            .map(|value| format!("{value:>8.4}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    println!("U_i                {}", row(&answer.utilisation));
    for balance in &answer.balances {
        println!("LB_i, mean {:.4}  {}", balance.mean, row(&balance.load_balance));
        println!(
            "    max |LB| {:.4}, RMS {:.4}, coefficient of variation {:.4}, Jain's fairness {:.4}",
            balance.max_abs, balance.rms, balance.cv, balance.jain
        );
    }
    if let Some(shift) = &answer.shift {
        println!("{}", shift.why);
    }
}
