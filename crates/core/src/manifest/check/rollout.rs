//! How a new generation comes, and what follows from changes made from outside.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::super::de::Spanned;
use super::super::error::{Fault, ManifestErrorKind};
use super::super::raw::{RawAnalysis, RawCanaryStep, RawDrift, RawRollout};
use super::super::scalars::ShareText;
use super::values::{count, duration, number, small_number, some_time};
use crate::{Analysis, CanaryStep, DriftField, DriftPolicy, Limit, PERCENT_MAX, Rollout, RolloutStrategy, Share};

/// From one measurement to the next: quick enough for a pause of a minute, and nothing to a source.
const INTERVAL_USUAL: Duration = Duration::from_secs(10);

pub(super) fn rollout(raw: &Spanned<RawRollout>, replicas: NonZeroU32) -> Result<Rollout, Fault> {
    let usual = Rollout::default();
    let number = |given: &Option<_>, otherwise| given.as_ref().map_or(Ok(otherwise), count);
    let RawRollout { strategy, analysis, .. } = &raw.value;
    let rollout = Rollout {
        strategy: *strategy,
        max_unavailable: number(&raw.value.max_unavailable, usual.max_unavailable)?,
        max_surge: number(&raw.value.max_surge, usual.max_surge)?,
        steps: steps(&raw.value.steps, *strategy, replicas)?,
        analysis: analysis.0.iter().map(self::analysis).collect::<Result<_, _>>()?,
        ready_for: raw.value.ready_for.as_ref().map_or(Ok(Duration::ZERO), duration)?,
        within: raw.value.within.as_ref().map(some_time).transpose()?,
        keep: raw.value.keep.as_ref().map_or(Ok(Duration::ZERO), duration)?,
    };
    if rollout.strategy == RolloutStrategy::Rolling && rollout.max_unavailable == 0 && rollout.max_surge == 0 {
        let expected = "`max_unavailable` or `max_surge` above 0: with neither nothing can be replaced";
        return Err(Fault::at(raw.span, ManifestErrorKind::KeyChoice { expected }));
    }
    if let (RolloutStrategy::Rolling, Some(first)) = (*strategy, analysis.0.first()) {
        let expected = "the strategy `canary` or `blue-green` beside `analysis`";
        return Err(Fault::at(first.span, ManifestErrorKind::KeyChoice { expected }));
    }
    if let (true, Some(keep)) = (*strategy != RolloutStrategy::BlueGreen, &raw.value.keep) {
        let expected = "the strategy `blue-green` beside `keep`";
        return Err(Fault::at(keep.span, ManifestErrorKind::KeyChoice { expected }));
    }
    Ok(rollout)
}

fn steps(
    raw: &[Spanned<RawCanaryStep>],
    strategy: RolloutStrategy,
    replicas: NonZeroU32,
) -> Result<Vec<CanaryStep>, Fault> {
    if let (true, Some(first)) = (strategy != RolloutStrategy::Canary, raw.first()) {
        let expected = "the strategy `canary` beside `steps`";
        return Err(Fault::at(first.span, ManifestErrorKind::KeyChoice { expected }));
    }
    let mut before = 0;
    let mut all = Vec::with_capacity(raw.len());
    for step in raw {
        let share = share(&step.value.replicas)?;
        let of = share.of(replicas.get());
        if of < before {
            let expected = format!("at least as many replicas as the step before, {before}");
            return Err(Fault::bad_value(step.value.replicas.span, share, expected));
        }
        before = of;
        all.push(CanaryStep {
            replicas: share,
            pause: step.value.pause.as_ref().map_or(Ok(Duration::ZERO), duration)?,
        });
    }
    Ok(all)
}

/// A number from 1, or 1 to 100 with a percent sign.
fn share(raw: &Spanned<ShareText>) -> Result<Share, Fault> {
    let text = raw.value.0.trim();
    let bad = || {
        let expected = "a number of replicas from 1, or a part from `1%` to `100%`";
        Fault::bad_value(raw.span, text, expected)
    };
    let read = |digits: &str| small_number(digits.trim()).map_err(|_| bad());
    if let Some(percent) = text.strip_suffix('%') {
        let percent = u8::try_from(read(percent)?).map_err(|_| bad())?;
        let fits = (1..=PERCENT_MAX).contains(&percent);
        return fits.then_some(Share::Percent(percent)).ok_or_else(bad);
    }
    NonZeroU32::new(read(text)?).map(Share::Count).ok_or_else(bad)
}

fn analysis(raw: &Spanned<RawAnalysis>) -> Result<Analysis, Fault> {
    let RawAnalysis {
        metric,
        below,
        above,
        over,
        interval,
        failures,
    } = &raw.value;
    let limit = match (below, above) {
        (Some(most), None) => Limit::Below(number(most)?),
        (None, Some(least)) => Limit::Above(number(least)?),
        _ => {
            let expected = "exactly one of `below`, `above`";
            return Err(Fault::at(raw.span, ManifestErrorKind::KeyChoice { expected }));
        }
    };
    if metric.value.is_empty() || metric.value.contains(char::is_control) {
        return Err(Fault::bad_value(metric.span, &metric.value, "the name of a metric"));
    }
    let whole = some_time(over)?;
    let interval = match interval {
        None => INTERVAL_USUAL.min(whole),
        Some(interval) => {
            let time = some_time(interval)?;
            if time > whole {
                let expected = "not longer than `for`";
                return Err(Fault::bad_value(interval.span, &interval.value.0, expected));
            }
            time
        }
    };
    Ok(Analysis {
        metric: metric.value.clone(),
        limit,
        over: whole,
        interval,
        failures: failures.as_ref().map_or(Ok(0), count)?,
    })
}

pub(super) fn drift(raw: &RawDrift) -> BTreeMap<DriftField, DriftPolicy> {
    let fields = [
        (DriftField::Missing, raw.missing),
        (DriftField::State, raw.state),
        (DriftField::Image, raw.image),
        (DriftField::Command, raw.command),
        (DriftField::Env, raw.env),
        (DriftField::Tags, raw.tags),
        (DriftField::Size, raw.size),
    ];
    let said = fields.into_iter().filter_map(|(field, policy)| Some((field, policy?)));
    said.collect()
}
