//! Random: the yardstick that every rule should beat.

use super::{Pick, Policy, Trial};

/// Takes any node on which the pod fits, each with equal chance, and any device that serves. The placer draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Random;

impl Policy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn pick(&self) -> Pick {
        Pick::AnyFitting
    }

    fn cost(&mut self, _trial: &Trial<'_>) -> f64 {
        0.0
    }
}
