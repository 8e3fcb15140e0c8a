//! Steps on samples before they lie on a grid: order, duplicates, counters.

use skyloom_core::Sample;

use super::pipeline::{PrepareError, StepReport};
use super::step::{Disorder, Duplicates, Order};

/// Finite values in strictly rising time, or why not.
pub(crate) fn order(raw: &[Sample], settings: Order, report: &mut StepReport) -> Result<Vec<Sample>, PrepareError> {
    let mut kept: Vec<Sample> = Vec::with_capacity(raw.len());
    let mut out_of_order = 0;
    for (index, sample) in raw.iter().enumerate() {
        if !sample.value.is_finite() {
            report.dropped += 1;
            continue;
        }
        if kept.last().is_some_and(|last| sample.at < last.at) {
            match settings.disorder {
                Disorder::Sort => out_of_order += 1,
                Disorder::DropLate => {
                    report.dropped += 1;
                    continue;
                }
                Disorder::Refuse => return Err(PrepareError::OutOfOrder { index }),
            }
        }
        kept.push(*sample);
    }
    report.changed += out_of_order;
    kept.sort_by_key(|s| s.at);
    settle(kept, settings.duplicates, report)
}

/// One sample for each time.
fn settle(samples: Vec<Sample>, policy: Duplicates, report: &mut StepReport) -> Result<Vec<Sample>, PrepareError> {
    let mut settled: Vec<Sample> = Vec::with_capacity(samples.len());
    let mut same = 1.0;
    for sample in samples {
        match settled.last_mut() {
            Some(last) if last.at == sample.at => {
                same += 1.0;
                report.dropped += 1;
                match policy {
                    Duplicates::First => {}
                    Duplicates::Last => last.value = sample.value,
                    Duplicates::Mean => last.value += sample.value / same - last.value / same,
                    Duplicates::Refuse => return Err(PrepareError::Duplicate { at: sample.at }),
                }
            }
            _ => {
                settled.push(sample);
                same = 1.0;
            }
        }
    }
    Ok(settled)
}

/// Rate per second between neighbours; a fall counts from zero.
pub(crate) fn counter_to_rate(samples: &[Sample], report: &mut StepReport) -> Result<Vec<Sample>, PrepareError> {
    report.dropped += usize::from(!samples.is_empty());
    let mut rates = Vec::with_capacity(samples.len());
    for (index, pair) in samples.windows(2).enumerate() {
        let (before, after) = (pair[0], pair[1]);
        if before.value < 0.0 || after.value < 0.0 {
            return Err(PrepareError::OutOfDomain {
                step: "counter-to-rate",
                index: if before.value < 0.0 { index } else { index + 1 },
                value: before.value.min(after.value),
            });
        }
        let counted = if after.value < before.value {
            report.changed += 1;
            after.value
        } else {
            after.value - before.value
        };
        let value = counted / after.at.saturating_since(before.at).as_secs_f64();
        if !value.is_finite() {
            return Err(PrepareError::Overflow {
                step: "counter-to-rate",
                index,
            });
        }
        rates.push(Sample { at: after.at, value });
    }
    Ok(rates)
}
