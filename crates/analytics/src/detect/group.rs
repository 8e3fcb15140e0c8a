//! Outliers among replicas: who does not do what the others do at the same time?
//!
//! Median and median absolute deviation at each moment, so that what all replicas do together (load by day) is no news and up
//! to half of them may be odd without hiding each other. A density clustering (DBSCAN) was not taken: with the handful of
//! replicas that a service has, its neighbourhood radius decides everything and has no unit-free default.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio};
use thiserror::Error;

use crate::num;

/// Fewer members have no majority.
const MEMBERS_MIN: usize = 3;
/// Share of the size of the middle that is always granted as deviation, so that replicas that are equal but for rounding
/// are not told apart.
const RELATIVE_MIN: f64 = 1e-9;

/// When a member is an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupConfig {
    tolerance: f64,
    share: Ratio,
}

/// What is said about one member.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberReport {
    /// Its place among the members.
    pub member: usize,
    /// Share of the moments at which it was out, 0..=1.
    pub out: Ratio,
    /// Its middle distance from the group in robust standard deviations; at most 1e6.
    pub distance: f64,
    /// Whether it is an outlier.
    pub is_outlier: bool,
}

/// Why members cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Fewer than three members.
    #[error("compare `{members}` members: at least `{MEMBERS_MIN}` are needed")]
    TooFew {
        /// How many there are.
        members: usize,
    },
    /// There is nothing to compare, or the members have different lengths.
    #[error("compare member `{member}` of `{len}` values with members of `{expected}`: it must be as many, and some")]
    Length {
        /// Which.
        member: usize,
        /// Its length.
        len: usize,
        /// That of the first.
        expected: usize,
    },
    /// A value is NaN or infinite.
    #[error("compare value `{index}` of member `{member}`: it is not finite")]
    NotFinite {
        /// Which member.
        member: usize,
        /// Which of its values.
        index: usize,
    },
    /// The tolerance is not a positive finite number.
    #[error("tolerate `{tolerance}` deviations: it must be finite and above zero")]
    Tolerance {
        /// What was asked.
        tolerance: f64,
    },
}

impl GroupError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Default for GroupConfig {
    /// Out beyond 5 robust standard deviations, an outlier when out at half of the moments.
    fn default() -> Self {
        Self {
            tolerance: 5.0,
            share: Ratio::new(0.5).unwrap_or(Ratio::ONE),
        }
    }
}

impl GroupConfig {
    /// With other limits: deviations, and the share of the moments.
    ///
    /// # Errors
    /// [`GroupError::Tolerance`] unless `0 < tolerance < ∞`.
    pub fn with(mut self, tolerance: f64, share: Ratio) -> Result<Self, GroupError> {
        if !(tolerance.is_finite() && tolerance > 0.0) {
            return Err(GroupError::Tolerance { tolerance });
        }
        (self.tolerance, self.share) = (tolerance, share);
        Ok(self)
    }
}

/// Compares members over the same moments; one report each, in their order. Shifting and scaling all of them together
/// changes nothing.
///
/// ```
/// use skyloom_analytics::detect::{GroupConfig, outliers};
///
/// let replicas: [&[f64]; 4] = [&[0.50, 0.52], &[0.51, 0.50], &[0.49, 0.51], &[0.93, 0.95]];
/// let reports = outliers(&replicas, &GroupConfig::default())?;
/// assert_eq!(reports.iter().map(|r| r.is_outlier).collect::<Vec<_>>(), [false, false, false, true]);
/// # Ok::<(), skyloom_analytics::detect::GroupError>(())
/// ```
///
/// # Errors
/// [`GroupError::TooFew`], [`GroupError::Length`], [`GroupError::NotFinite`].
pub fn outliers(members: &[&[f64]], config: &GroupConfig) -> Result<Vec<MemberReport>, GroupError> {
    let moments = check(members)?;
    let mut distances = vec![Vec::with_capacity(moments); members.len()];
    for moment in 0..moments {
        // Halves: the distance of two values may be beyond the largest float.
        let values: Vec<f64> = members.iter().map(|member| member[moment] / 2.0).collect();
        let middle = num::median(&mut values.clone());
        let mut away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
        let deviation = num::median(&mut away.clone()) * num::MAD_TO_SD + middle.abs() * RELATIVE_MIN;
        for (distances, away) in distances.iter_mut().zip(&mut away) {
            distances.push(if *away > 0.0 { (*away / deviation).min(1e6) } else { 0.0 });
        }
    }
    let report = |(member, mut distances): (usize, Vec<f64>)| {
        let out = distances
            .iter()
            .filter(|distance| **distance > config.tolerance)
            .count();
        let out = Ratio::new(num::count(out) / num::count(moments)).unwrap_or(Ratio::ONE);
        let distance = num::median(&mut distances);
        let is_outlier = out >= config.share && out > Ratio::ZERO;
        MemberReport {
            member,
            out,
            distance,
            is_outlier,
        }
    };
    Ok(distances.into_iter().enumerate().map(report).collect())
}

/// The number of moments.
fn check(members: &[&[f64]]) -> Result<usize, GroupError> {
    if members.len() < MEMBERS_MIN {
        return Err(GroupError::TooFew { members: members.len() });
    }
    let expected = members[0].len();
    for (member, values) in members.iter().enumerate() {
        let len = values.len();
        if len != expected || len == 0 {
            return Err(GroupError::Length { member, len, expected });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(GroupError::NotFinite { member, index });
        }
    }
    Ok(expected)
}
