//! Drivers around drivers. Each forwards every method of the trait, none decides when to try again, and none waits:
//! a retry policy is [`skyloom_core::RetryPolicy`], a rate limit is [`crate::RateLimit`], and the runtime sleeps.
#![deny(clippy::missing_trait_methods)]

mod faulty;
mod recording;
mod shared;

pub use faulty::FaultInjecting;
pub use recording::{RecordedCall, Recording};
