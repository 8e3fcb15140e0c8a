//! From an assignment to the report: names, times, what was sent, and for each task what else there was.
//!
//! Alternatives are priced exactly, one task moved and all others as they are; choosing does not belong here.

use skyloom_core::{Bytes, MicroUsd};

use super::checks;
use super::compile::{Choice, Compiled, price, refusal};
use super::report::{Reason, Rejected, RunnerUp, Sent, TaskPlan};
use super::search::micros;
use super::tally::{Tally, Timing};
use super::tariff::GRAINS;

/// Tasks by name, each with its place, times and, where asked for, alternatives. `deadline`: where time is limited.
pub(super) fn tasks(compiled: &Compiled<'_>, tally: &Tally, deadline: Option<u64>, explain: bool) -> Vec<TaskPlan> {
    let timing = Timing::of(compiled, &tally.picks);
    let mut scratch = Vec::new();
    let mut tasks: Vec<TaskPlan> = (0..compiled.steps.len())
        .map(|number| {
            let step = &compiled.steps[number];
            let choice = &step.choices[tally.picks[number]];
            let candidate = &step.task.candidates[choice.candidate];
            let (runner_up, rejected) = if explain {
                alternatives(compiled, tally, number, deadline, &mut scratch)
            } else {
                (None, Vec::new())
            };
            TaskPlan {
                id: step.task.id.clone(),
                offer: candidate.offer.clone(),
                region: candidate.region.clone(),
                cost: MicroUsd::from_micros(choice.cost),
                start_ms: timing.ends[number].saturating_sub(choice.millis),
                end_ms: timing.ends[number],
                runner_up,
                rejected,
            }
        })
        .collect();
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    tasks
}

/// What each meter counts.
pub(super) fn sent(compiled: &Compiled<'_>, tally: &Tally) -> Vec<Sent> {
    let senders = (0..compiled.network.regions.len()).flat_map(|region| {
        let meters = compiled.network.ways(region).iter().map(|way| way.meter);
        meters.map(move |meter| (region, meter))
    });
    let row = |(region, meter): (usize, usize)| Sent {
        region: compiled.network.regions[region].clone(),
        bytes: Bytes::from_bytes(tally.volumes[meter]),
        cost: MicroUsd::from_micros(micros(compiled.network.meters[meter].tariff.cost(tally.volumes[meter]))),
        is_assumed: compiled.network.meters[meter].assumed,
    };
    senders
        .filter(|(_, meter)| tally.volumes[*meter] > 0)
        .map(row)
        .collect()
}

/// The runner-up of a task, and why each other candidate was not chosen.
fn alternatives(
    compiled: &Compiled<'_>,
    tally: &Tally,
    number: usize,
    deadline: Option<u64>,
    scratch: &mut Vec<(u32, i128)>,
) -> (Option<RunnerUp>, Vec<Rejected>) {
    let step = &compiled.steps[number];
    let chosen = step.choices[tally.picks[number]];
    let mut traffic: Vec<Option<i128>> = vec![None; compiled.network.regions.len()];
    let mut rejected = Vec::with_capacity(step.task.candidates.len());
    let mut best: Option<(i64, usize)> = None;
    for (at, candidate) in step
        .task
        .candidates
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != chosen.candidate)
    {
        // Checked when the task was folded.
        let millis = checks::millis(candidate.run_seconds, "run time", String::new).unwrap_or(0);
        let choice = Choice {
            candidate: at,
            region: compiled.regions_of.row(number)[at] as usize,
            cost: price(candidate, millis).unwrap_or(i64::MAX),
            millis,
        };
        let reason = match refusal(step.task, step.latest, &choice, candidate, &compiled.places) {
            Some(rule) => Reason::Forbidden(rule),
            None => {
                let of_region = &mut traffic[choice.region];
                let egress =
                    *of_region.get_or_insert_with(|| tally.egress_delta(compiled, number, choice.region, scratch));
                let more = micros(i128::from(choice.cost - chosen.cost) * GRAINS + egress);
                let in_time = deadline.is_none_or(|deadline| is_in_time(compiled, tally, number, &choice, deadline));
                let name = |at: usize| (&step.task.candidates[at].region, &step.task.candidates[at].offer, at);
                if in_time && best.is_none_or(|(least, other)| (more, name(at)) < (least, name(other))) {
                    best = Some((more, at));
                }
                if more < 0 {
                    Reason::Slower(MicroUsd::from_micros(-more))
                } else {
                    Reason::Dearer(MicroUsd::from_micros(more))
                }
            }
        };
        rejected.push(Rejected {
            offer: candidate.offer.clone(),
            region: candidate.region.clone(),
            reason,
        });
    }
    let amount = |reason: &Reason| match reason {
        Reason::Forbidden(rule) => (0, *rule as i64),
        Reason::Dearer(more) => (1, more.as_micros()),
        Reason::Slower(less) => (2, less.as_micros()),
    };
    rejected.sort_by(|a, b| (&a.region, &a.offer, amount(&a.reason)).cmp(&(&b.region, &b.offer, amount(&b.reason))));
    let runner_up = best.map(|(more, at)| RunnerUp {
        offer: step.task.candidates[at].offer.clone(),
        region: step.task.candidates[at].region.clone(),
        dearer_by: MicroUsd::from_micros(more),
    });
    (runner_up, rejected)
}

/// Whether all is in time with another choice for a task: one of its folded choices that is in the same region and no
/// faster stands for a candidate that was folded away.
fn is_in_time(compiled: &Compiled<'_>, tally: &Tally, number: usize, choice: &Choice, deadline: u64) -> bool {
    let stands_for = |other: &Choice| other.region == choice.region && other.millis == choice.millis;
    let Some(pick) = compiled.steps[number].choices.iter().position(stands_for) else {
        return false;
    };
    let mut picks = tally.picks.clone();
    picks[number] = pick;
    Timing::of(compiled, &picks).is_within(compiled, deadline)
}
