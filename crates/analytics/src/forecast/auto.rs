//! The automatic choice: the candidates of the table are back-tested from several origins and combined.
//!
//! Everything is fitted anew at a few cuts of the history and asked for hindcasts from there on, so that no error was seen
//! by the fit that made it. The same fits stay beside the final one: the interval is made from them. How errors become
//! weights, and how the naive methods guard, is `combine`'s.

use super::combine;
use super::ets_auto::QuickEts;
use super::method::{Candidacy, Fallback, Fitted, Forecaster, Member, SeasonUse, Training};
use super::naive::{Naive, SeasonalNaive};
use super::theta::Theta;
use crate::num;

/// Weights all methods of [`BUILTIN`](super::BUILTIN) by their errors in a rolling-origin back-test: the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auto;

/// As [`Auto`] with the quick methods only and one cut of the history: several times faster, a little less accurate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fast;

/// Cuts at which everything is fitted anew.
const CUTS: usize = 4;
/// Distance of neighbouring cuts, in back-test paths; less when the history is short.
const SPACING: usize = 2;
/// The single cut of the fast choice lies so many paths back.
const SPACING_FAST: usize = 4;
/// Values below which a back-test would be a lottery: the naive method is used.
const LEN_MIN: usize = 10;
/// A back-test path is at most this share of the history long (a quarter); most of it must remain to be fitted.
const LEAD_SHARE: usize = 4;
/// Longest back-test path: a few seasons of hourly data; farther leads are extrapolated by every method alike.
const LEAD_MAX: usize = 96;
/// Errors from each earlier cut count so much less.
const RECENCY: f64 = 0.8;
/// Hindcasts begin this share of a path apart.
const HINDCASTS: usize = 4;
/// Cycles a season must have been seen to be judged, and what is used before.
const CYCLES_SEEN: usize = 2;
const UNPROVEN: [&dyn Forecaster; 3] = [&SeasonalNaive, &Theta, &QuickEts];
/// Errors this close are a tie, and the plainer method is the guard: rounding must not decide.
const TIE: f64 = 1e-9;

#[derive(Debug)]
struct Candidate<'a> {
    method: &'static dyn Forecaster,
    periods: &'a [usize],
    /// Mean absolute error, on the unit scale.
    error: f64,
    /// The errors themselves.
    errors: Vec<f64>,
    /// Fits to prefixes of the history, with their lengths, rising.
    proofs: Vec<(usize, Box<dyn Fitted>)>,
}

#[derive(Debug)]
struct FittedAuto {
    len: usize,
    members: Vec<Proven>,
}

/// A member with its fit, and the fits to prefixes that its weight comes from.
#[derive(Debug)]
struct Proven {
    member: Member,
    fitted: Box<dyn Fitted>,
    proofs: Vec<(usize, Box<dyn Fitted>)>,
}

/// Where the history is cut.
#[derive(Debug)]
struct Cuts {
    /// Length of a back-test path.
    lead: usize,
    /// Lengths of the prefixes that are fitted, rising.
    at: Vec<usize>,
}

macro_rules! choice {
    ($choice:ty, $name:literal, $is_fast:literal) => {
        impl Forecaster for $choice {
            fn name(&self) -> &'static str {
                $name
            }
            fn seasons(&self) -> SeasonUse {
                SeasonUse::All
            }
            fn candidacy(&self) -> Candidacy {
                Candidacy::Never
            }
            fn needs(&self, _periods: &[usize]) -> usize {
                LEN_MIN
            }
            fn simpler(&self) -> Option<&'static dyn Forecaster> {
                Some(&Naive)
            }
            fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
                choose(training, $is_fast)
            }
        }
    };
}

choice!(Auto, "auto", false);
choice!(Fast, "fast", true);

fn choose(training: &Training<'_>, is_fast: bool) -> Result<Box<dyn Fitted>, Fallback> {
    let len = training.values.len();
    if len < LEN_MIN {
        return Err(Fallback::TooShort { len, needed: LEN_MIN });
    }
    let shares = match unproven(training, is_fast) {
        Some(candidates) => candidates,
        None => shares(back_test(training, is_fast)),
    };
    let mut members = Vec::with_capacity(shares.len());
    for (candidate, weight) in shares {
        let fitted = candidate.method.fit(&Training {
            periods: candidate.periods,
            ..*training
        })?;
        let member = Member {
            name: candidate.method.name().to_owned(),
            period: match candidate.method.seasons() {
                SeasonUse::Each => candidate.periods.first().copied(),
                SeasonUse::None | SeasonUse::All => None,
            },
            weight,
            error: candidate.error,
        };
        members.push(Proven {
            member,
            fitted,
            proofs: candidate.proofs,
        });
    }
    Ok(Box::new(FittedAuto { len, members }))
}

/// The seasonal methods in equal shares, when the history shows a season for the first time: the prefixes of a back-test
/// would not show it, and the choice would be made among methods that are blind to it.
fn unproven<'a>(training: &Training<'a>, is_fast: bool) -> Option<Vec<(Candidate<'a>, f64)>> {
    let (len, shortest) = (training.values.len(), *training.periods.first()?);
    let lead = Cuts::of(len, training.horizon, 0, is_fast).lead;
    let seen = shortest.saturating_mul(CYCLES_SEEN);
    if len < seen || len - lead >= seen {
        return None;
    }
    let share = 1.0 / num::count(UNPROVEN.len());
    let candidate = |method: &&'static dyn Forecaster| {
        let candidate = Candidate {
            method: *method,
            periods: training.periods,
            error: 0.0,
            errors: Vec::new(),
            proofs: Vec::new(),
        };
        (candidate, share)
    };
    Some(UNPROVEN.iter().map(candidate).collect())
}

impl Cuts {
    /// Cuts of a history, none below `needed` unless it is the only one.
    fn of(len: usize, horizon: usize, needed: usize, is_fast: bool) -> Self {
        let lead = (len / LEAD_SHARE).clamp(1, LEAD_MAX).min(horizon);
        let latest = len - lead;
        let floor = needed.max(len / 2).min(latest);
        if is_fast {
            let at = vec![latest.saturating_sub(SPACING_FAST * lead).max(floor)];
            return Self { lead, at };
        }
        let spacing = (SPACING * lead).min((latest - floor) / (CUTS - 1)).max(1);
        let mut at: Vec<usize> = (0..CUTS)
            .filter_map(|k| latest.checked_sub(k * spacing))
            .filter(|cut| *cut >= floor)
            .collect();
        at.reverse();
        Self { lead, at }
    }
}

/// Every candidate that can be fitted at the latest cut, with its errors over all origins and leads. The naive method
/// always can, so the list is never empty.
fn back_test<'a>(training: &Training<'a>, is_fast: bool) -> Vec<Candidate<'a>> {
    let len = training.values.len();
    let latest = len - Cuts::of(len, training.horizon, 0, is_fast).lead;
    let candidates: Vec<_> = candidates(training.periods, is_fast)
        .into_iter()
        .filter(|(method, periods)| method.needs(periods) <= latest)
        .collect();
    // Errors compare only at common origins: early ones, where a long season does not fit yet, are given up.
    let needed = candidates.iter().map(|(m, p)| m.needs(p)).max().unwrap_or(1);
    let cuts = Cuts::of(len, training.horizon, needed, is_fast);
    candidates
        .into_iter()
        .filter_map(|(method, periods)| prove(method, &Training { periods, ..*training }, &cuts))
        .collect()
}

/// The candidates of the table with the periods each is given.
fn candidates(periods: &[usize], is_fast: bool) -> Vec<(&'static dyn Forecaster, &[usize])> {
    let least = if is_fast { Candidacy::Quick } else { Candidacy::Thorough };
    let mut candidates: Vec<(&'static dyn Forecaster, &[usize])> = Vec::new();
    for method in super::BUILTIN.iter().copied().filter(|m| m.candidacy() >= least) {
        match method.seasons() {
            SeasonUse::None => candidates.push((method, &[])),
            SeasonUse::Each => candidates.extend(periods.chunks(1).map(|one| (method, one))),
            SeasonUse::All => candidates.push((method, periods)),
        }
    }
    candidates
}

fn prove<'a>(method: &'static dyn Forecaster, training: &Training<'a>, cuts: &Cuts) -> Option<Candidate<'a>> {
    let values = training.values;
    let mut proofs: Vec<(usize, Box<dyn Fitted>)> = Vec::new();
    let mut errors = Vec::new();
    for (k, &cut) in cuts.at.iter().enumerate() {
        let until = cuts.at.get(k + 1).copied().unwrap_or(values.len() - cuts.lead + 1);
        let mut fitted = method
            .fit(&Training {
                values: &values[..cut],
                ..*training
            })
            .ok()?;
        for value in &values[cut..] {
            fitted.push(*value);
        }
        for origin in (cut..until).step_by((cuts.lead / HINDCASTS).max(1)) {
            let path = fitted.path(origin, cuts.lead);
            let weight = RECENCY.powi(i32::try_from(cuts.at.len() - 1 - k).unwrap_or(i32::MAX));
            errors.extend(path.iter().zip(&values[origin..]).map(|(p, v)| weight * (p - v)));
        }
        proofs.push((cut, fitted));
    }
    let error = errors.iter().map(|e| e.abs()).sum::<f64>() / num::count(errors.len().max(1));
    error.is_finite().then_some(Candidate {
        method,
        periods: training.periods,
        error,
        errors,
        proofs,
    })
}

/// The candidates that count, with their shares.
fn shares(mut candidates: Vec<Candidate<'_>>) -> Vec<(Candidate<'_>, f64)> {
    let Some(guard) = guard(&candidates) else {
        return Vec::new();
    };
    let errors: Vec<Vec<f64>> = candidates.iter_mut().map(|c| std::mem::take(&mut c.errors)).collect();
    let shares = combine::shares(&errors, guard);
    candidates
        .into_iter()
        .zip(shares)
        .filter(|(_, share)| *share > 0.0)
        .collect()
}

/// Position of the better naive method; the first of equals, which is the plainer one.
fn guard(candidates: &[Candidate<'_>]) -> Option<usize> {
    let mut guard: Option<usize> = None;
    for (i, c) in candidates.iter().enumerate() {
        let is_naive = [Naive.name(), SeasonalNaive.name()].contains(&c.method.name());
        if is_naive && guard.is_none_or(|g| c.error < candidates[g].error * (1.0 - TIE)) {
            guard = Some(i);
        }
    }
    guard
}

impl FittedAuto {
    fn weighted(&self, horizon: usize, of: impl Fn(&Proven) -> Vec<f64>) -> Vec<f64> {
        let mut sum = vec![0.0; horizon];
        for proven in &self.members {
            for (s, v) in sum.iter_mut().zip(of(proven)) {
                *s += proven.member.weight * v;
            }
        }
        sum
    }
}

impl Fitted for FittedAuto {
    /// Inside of the history the fits to prefixes answer: they have not seen what they are compared with.
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        self.weighted(horizon, |proven| {
            let before = proven.proofs.iter().rev().find(|(cut, _)| *cut <= origin);
            match before {
                Some((_, proof)) if origin < self.len => proof.path(origin, horizon),
                _ => proven.fitted.path(origin, horizon),
            }
        })
    }

    fn push(&mut self, value: f64) {
        for proven in &mut self.members {
            proven.fitted.push(value);
        }
    }

    fn first_origin(&self) -> usize {
        let first = |p: &Proven| p.proofs.first().map_or(p.fitted.first_origin(), |(cut, _)| *cut);
        self.members.iter().map(first).max().unwrap_or(1)
    }

    /// The fastest growth of any member: the law is for what the hindcasts cannot tell, and there caution is cheap.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        let mut most = vec![1.0_f64; horizon];
        for proven in &self.members {
            for (m, v) in most.iter_mut().zip(proven.fitted.spread(horizon)) {
                *m = m.max(v);
            }
        }
        most
    }

    /// None that hindcasts of fits to prefixes have seen.
    fn parameters(&self) -> usize {
        let seen = |p: &Proven| if p.proofs.is_empty() { p.fitted.parameters() } else { 0 };
        self.members.iter().map(seen).max().unwrap_or(0)
    }

    fn members(&self) -> Vec<Member> {
        self.members.iter().map(|p| p.member.clone()).collect()
    }
}
