//! Rules over the gathered series, evaluated tick by tick; webhooks that are sent; recoveries that are proposed or begun.
//!
//! What fires, is grouped and is told is decided in `skyloom-analytics`; here are the tick, the queue and the wire. Where
//! series come from is [`crate::sources`]; carrying a recovery out is [`crate::ControlPlane::react`].

mod alarms;
mod forecasts;
mod outbox;
mod recovery;

pub use alarms::{Alarms, AlarmsState, Tick};
pub use forecasts::{FORECASTS_PER_TICK, ForecastPace};
pub use outbox::{GROUPS_QUEUED_MAX, Outbox, OutboxReport, Webhook};
pub use recovery::{Ended, Mode, OwnRemedy, Reaction, Recoveries, Recovery, Remedy};
