//! Autoregression on lags around the multiples of the seasons: the workhorse for long series.
//!
//! One family in several guises: on the values, on differences or on seasonal differences; with nothing but lags, with
//! Fourier terms, or with a profile of every phase; on the scale as it is or on a bent one ([`Bend`]). Each errs in its own
//! way, which is what a combination lives on. Lags are functions of the periods and of the length: nothing is made for one
//! frequency.
//!
//! Source: regression with many lags and Huber's loss is textbook; the choice of lags is ours. Forecasts are recursive: a
//! forecast value stands in for the lag that is not there yet.

use super::linear::{Problem, Profile, Solution, solve};
use super::method::{Candidacy, Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::scale::{Bend, Shape};
use crate::num;

/// What is regressed on its own lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    None,
    Step,
    Season,
}

/// What the seasons add beside the lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    None,
    Fourier,
    Profile,
}

/// An untrained autoregression of the family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lagged {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) difference: Difference,
    pub(crate) terms: Terms,
}

const fn member(name: &'static str, shape: Shape, difference: Difference, terms: Terms) -> Lagged {
    Lagged {
        name,
        shape,
        difference,
        terms,
    }
}
pub(crate) const LAGGED: Lagged = member("lagged", Shape::Log, Difference::None, Terms::None);
pub(crate) const LAGGED_ROOT: Lagged = member("lagged-root", Shape::Root, Difference::None, Terms::None);
pub(crate) const LAGGED_STEP: Lagged = member("lagged-step", Shape::Log, Difference::Step, Terms::None);
pub(crate) const LAGGED_SEASON: Lagged = member("lagged-season", Shape::Log, Difference::Season, Terms::None);
pub(crate) const LAGGED_FOURIER: Lagged = member("lagged-fourier", Shape::Log, Difference::None, Terms::Fourier);
pub(crate) const LAGGED_PROFILE: Lagged = member("lagged-profile", Shape::Log, Difference::None, Terms::Profile);

/// Longest run of lags from 1 on; beyond it a long season is reached by the lags around it.
const DENSE_MAX: usize = 40;
/// Lags without any season.
const PLAIN_MAX: usize = 14;
/// Rows for each coefficient that must be there.
const ROWS_PER_LAG: usize = 4;
/// Harmonics of the shortest season, and of each longer one.
const HARMONICS_SHORT: usize = 8;
const HARMONICS_LONG: usize = 12;
/// Ridge as a share of the diagonal: against collinear lags only.
const RIDGE_SHARE: f64 = 1e-5;
/// Ridge of a phase of a profile, in rows: a phase seen twice is believed by half.
const RIDGE_PROFILE: f64 = 2.0;
/// The weight of a row of a profile halves in so many of the longest season, or this share of the series if longer.
const HALF_LIFE_SEASONS: f64 = 3.5;
const HALF_LIFE_SHARE: f64 = 0.6;
/// Passes of the robust regression.
const PASSES: usize = 5;
/// A path keeps within the range seen, widened by this share, and by more when it is long for its history.
const LEEWAY: f64 = 0.5;
/// Largest response to a unit error that is believed: an unstable fit is held by the range, not by its own law.
const RESPONSE_MAX: f64 = 3.0;
/// Values the family needs without a season.
const LEN_MIN: usize = 24;
/// Cycles of the shortest season it needs, and cycles below which a longer one is left out.
const CYCLES_MIN: usize = 3;

#[derive(Debug, Clone)]
struct FittedLagged {
    bend: Bend,
    mean: f64,
    sd: f64,
    /// The history, bent and standardised.
    z: Vec<f64>,
    /// Distance of the difference; 0 for none.
    distance: usize,
    lags: Vec<usize>,
    coefficients: Vec<f64>,
    intercept: f64,
    /// One table for each season, added by phase.
    profiles: Vec<Vec<f64>>,
    first: usize,
    lo: f64,
    hi: f64,
}

impl Forecaster for Lagged {
    fn name(&self) -> &'static str {
        self.name
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn candidacy(&self) -> Candidacy {
        let is_quick = self.terms == Terms::Profile || self.shape == Shape::Root;
        if is_quick {
            Candidacy::Quick
        } else {
            Candidacy::Thorough
        }
    }
    fn needs(&self, periods: &[usize]) -> usize {
        match periods.first() {
            Some(p) => p.saturating_mul(CYCLES_MIN).max(LEN_MIN),
            None if self.terms == Terms::None && self.difference != Difference::Season => LEN_MIN,
            None => usize::MAX,
        }
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let (len, needed) = (training.values.len(), self.needs(training.periods));
        if needed == usize::MAX && training.periods.is_empty() {
            return Err(Fallback::NoSeason);
        }
        if len < needed {
            return Err(Fallback::TooShort { len, needed });
        }
        let fits = |p: &&usize| p.saturating_mul(CYCLES_MIN) <= len;
        let periods: Vec<usize> = training.periods.iter().filter(fits).copied().collect();
        Ok(Box::new(self.fit_periods(training.values, &periods)))
    }
}

impl Lagged {
    fn fit_periods(&self, values: &[f64], periods: &[usize]) -> FittedLagged {
        let bend = Bend::fit(self.shape, values, periods.first().copied());
        let bent: Vec<f64> = values.iter().map(|v| bend.apply(*v)).collect();
        let mean = num::mean(&bent);
        let away: Vec<f64> = bent.iter().map(|v| v - mean).collect();
        let rms = num::rms(&away);
        let sd = if rms > 0.0 { rms } else { 1.0 };
        let z: Vec<f64> = away.iter().map(|v| v / sd).collect();
        let distance = match self.difference {
            Difference::None => 0,
            Difference::Step => 1,
            Difference::Season => periods.first().copied().unwrap_or(1),
        };
        let w = differences(&z, distance);
        let lags = lags(periods, w.len(), self.terms == Terms::None);
        let first = lags.iter().copied().max().unwrap_or(0);
        let rows = w.len() - first;
        let fixed = fixed_columns(self.terms, periods, first + distance, rows);
        let weights = (self.terms == Terms::Profile).then(|| ageing(rows, periods));
        let mut columns: Vec<&[f64]> = lags.iter().map(|lag| &w[first - lag..w.len() - lag]).collect();
        columns.extend(fixed.iter().map(Vec::as_slice));
        let mut ridge = vec![0.0; columns.len()];
        if self.terms == Terms::Profile {
            ridge[lags.len() + 1..].fill(RIDGE_PROFILE);
        }
        let profile = match (self.terms, periods.last()) {
            (Terms::Profile, Some(&period)) => Some(Profile {
                period,
                first: (first + distance) % period,
                ridge: RIDGE_PROFILE,
            }),
            _ => None,
        };
        let found = solve(
            &Problem {
                columns,
                target: &w[first..],
                weights: weights.as_deref(),
                ridge_share: RIDGE_SHARE,
                ridge: &ridge,
                profile,
            },
            PASSES,
        );
        let (lo, hi) = z
            .iter()
            .fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        FittedLagged {
            bend,
            mean,
            sd,
            distance,
            intercept: found.columns[lags.len()],
            coefficients: found.columns[..lags.len()].to_vec(),
            profiles: profiles(self.terms, periods, lags.len() + 1, &found),
            first: first + distance,
            lags,
            z,
            lo,
            hi,
        }
    }
}

fn differences(z: &[f64], distance: usize) -> Vec<f64> {
    if distance == 0 {
        z.to_vec()
    } else {
        z[distance..].iter().zip(z).map(|(a, b)| a - b).collect()
    }
}

/// The lags in order of importance, as many as the length bears, then sorted.
fn lags(periods: &[usize], len: usize, is_rich: bool) -> Vec<usize> {
    let mut wanted: Vec<usize> = vec![1];
    wanted.extend(periods);
    let dense = periods.first().map_or(PLAIN_MAX, |p| (p + 2).min(DENSE_MAX));
    wanted.push(2);
    wanted.extend(periods.iter().map(|p| p + 1));
    wanted.extend(periods.first().map(|p| p - 1));
    wanted.extend(3..=dense);
    if let Some(&shortest) = periods.first() {
        wanted.push(2 * shortest);
        if is_rich {
            wanted.extend([2 * shortest - 1, 2 * shortest + 1]);
            for &longer in &periods[1..] {
                wanted.push(longer - 1);
                wanted.extend([longer - shortest - 1, longer - shortest, longer - shortest + 1]);
                wanted.extend([longer + shortest, longer + shortest + 1]);
            }
            wanted.extend((3..=5).map(|k| k * shortest));
        }
    }
    let mut taken: Vec<usize> = Vec::new();
    let mut longest = 0;
    for lag in wanted {
        let far = longest.max(lag);
        let bears = len > far && len - far >= ROWS_PER_LAG * (taken.len() + 2) && 5 * far <= 2 * len;
        if lag > 0 && bears && !taken.contains(&lag) {
            taken.push(lag);
            longest = far;
        }
    }
    taken.sort_unstable();
    taken
}

/// The intercept, then what the seasons add but the longest profile.
fn fixed_columns(terms: Terms, periods: &[usize], first: usize, rows: usize) -> Vec<Vec<f64>> {
    let mut columns = vec![vec![1.0; rows]];
    match terms {
        Terms::None => {}
        Terms::Fourier => {
            for (period, k) in harmonics(periods) {
                let wave = waves(period, k);
                columns.push((0..rows).map(|row| wave[(first + row) % period].0).collect());
                columns.push((0..rows).map(|row| wave[(first + row) % period].1).collect());
            }
        }
        Terms::Profile => {
            for &period in &periods[..periods.len().saturating_sub(1)] {
                for phase in 0..period {
                    let is_phase = |row: usize| f64::from(u8::from((first + row) % period == phase));
                    columns.push((0..rows).map(is_phase).collect());
                }
            }
        }
    }
    columns
}

/// Harmonics of every season, those left out that a shorter season has already.
fn harmonics(periods: &[usize]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (i, &period) in periods.iter().enumerate() {
        let most = if i == 0 { HARMONICS_SHORT } else { HARMONICS_LONG };
        let is_new = |k: &usize| periods[..i].iter().all(|shorter| !(k * shorter).is_multiple_of(period));
        all.extend((1..=most.min((period - 1) / 2)).filter(is_new).map(|k| (period, k)));
    }
    all
}

fn waves(period: usize, k: usize) -> Vec<(f64, f64)> {
    let angle = |phase: usize| std::f64::consts::TAU * num::count((k * phase) % period) / num::count(period);
    (0..period)
        .map(|phase| (libm::sin(angle(phase)), libm::cos(angle(phase))))
        .collect()
}

fn ageing(rows: usize, periods: &[usize]) -> Vec<f64> {
    let seasons = periods.last().map_or(0.0, |p| HALF_LIFE_SEASONS * num::count(*p));
    let half_life = seasons.max(HALF_LIFE_SHARE * num::count(rows)).max(1.0);
    (0..rows)
        .map(|row| libm::exp2(-num::count(rows - 1 - row) / half_life))
        .collect()
}

/// The seasonal coefficients as tables by phase; `skip` columns are lags and intercept.
fn profiles(terms: Terms, periods: &[usize], skip: usize, found: &Solution) -> Vec<Vec<f64>> {
    let mut rest = found.columns[skip..].iter();
    let mut next = || rest.next().copied().unwrap_or(0.0);
    match terms {
        Terms::None => Vec::new(),
        Terms::Fourier => {
            let mut tables: Vec<Vec<f64>> = periods.iter().map(|p| vec![0.0; *p]).collect();
            for (period, k) in harmonics(periods) {
                let (sine, cosine) = (next(), next());
                for table in tables.iter_mut().filter(|t| t.len() == period) {
                    for (value, wave) in table.iter_mut().zip(waves(period, k)) {
                        *value += sine * wave.0 + cosine * wave.1;
                    }
                }
            }
            tables
        }
        Terms::Profile => {
            let shorter = &periods[..periods.len().saturating_sub(1)];
            let mut tables: Vec<Vec<f64>> = shorter.iter().map(|p| (0..*p).map(|_| next()).collect()).collect();
            if !found.profile.is_empty() {
                tables.push(found.profile.clone());
            }
            tables
        }
    }
}

impl Fitted for FittedLagged {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let longest = self.lags.last().copied().unwrap_or(0);
        let from = origin - longest - self.distance;
        let mut z: Vec<f64> = self.z[from..origin].to_vec();
        let mut w = differences(&z, self.distance);
        let range = self.hi - self.lo;
        (0..horizon)
            .map(|lead| {
                let mut next = self.intercept;
                for (lag, beta) in self.lags.iter().zip(&self.coefficients) {
                    next += beta * w[w.len() - lag];
                }
                for table in &self.profiles {
                    next += table[(origin + lead) % table.len()];
                }
                let before = if self.distance > 0 {
                    z[z.len() - self.distance]
                } else {
                    0.0
                };
                let leeway = range * (LEEWAY + num::count(lead) / num::count(self.z.len()));
                let value = (before + next).clamp(self.lo - leeway, self.hi + leeway);
                w.push(value - before);
                z.push(value);
                self.bend.undo(self.mean + self.sd * value)
            })
            .collect()
    }

    fn push(&mut self, value: f64) {
        self.z.push((self.bend.apply(value) - self.mean) / self.sd);
    }

    fn first_origin(&self) -> usize {
        self.first.max(1)
    }

    /// From the response to one unit error (Box and Jenkins, Time Series Analysis, section 5.2.1), the seasons left out.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        let mut w: Vec<f64> = Vec::with_capacity(horizon);
        let mut z: Vec<f64> = Vec::with_capacity(horizon);
        let mut variance = 0.0;
        let mut spread = Vec::with_capacity(horizon);
        for lead in 0..horizon {
            let lagged = |(lag, beta): (&usize, &f64)| lead.checked_sub(*lag).map_or(0.0, |at| beta * w[at]);
            let response: f64 = self.lags.iter().zip(&self.coefficients).map(lagged).sum();
            let next = if lead == 0 { 1.0 } else { response };
            let before = lead.checked_sub(self.distance.max(1)).filter(|_| self.distance > 0);
            w.push(next);
            z.push((next + before.map_or(0.0, |at| z[at])).clamp(-RESPONSE_MAX, RESPONSE_MAX));
            variance += z[lead] * z[lead];
            spread.push(f64::sqrt(variance));
        }
        spread
    }

    fn parameters(&self) -> usize {
        self.lags.len() + 1
    }
}
