//! One tick: rules over what is gathered, notifications of what they say, into the outbox.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use skyloom_analytics::alert::{Alert, Engine, EngineError, EngineState, Notification, Notifier, Rule};
use skyloom_core::Timestamp;

use super::forecasts::{ForecastPace, Forecasts, View};
use super::outbox::Outbox;
use crate::sources::Gatherer;

/// Rules, and who is told. Whoever holds it calls [`Alarms::tick`] now and then.
#[derive(Debug)]
pub struct Alarms {
    gatherer: Arc<Mutex<Gatherer>>,
    rules: Vec<Rule>,
    engine: Engine,
    notifier: Notifier,
    outbox: Arc<Outbox>,
    forecasts: Forecasts,
    pace: ForecastPace,
}

/// What is to outlive a restart: what is active, what was told, and what waits to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlarmsState {
    engine: EngineState,
    notifier: Notifier,
    unsent: Vec<Notification>,
}

/// What one tick has shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Tick {
    /// Every alert that fires or has just resolved.
    pub alerts: Vec<Alert>,
    /// Notifications that went into the outbox.
    pub told: usize,
}

impl Alarms {
    /// Rules over the series of `gatherer`, notifications by the routes of `notifier` through `outbox`.
    ///
    /// # Errors
    /// [`EngineError`] when two rules have one name.
    pub fn new(
        gatherer: Arc<Mutex<Gatherer>>,
        rules: Vec<Rule>,
        notifier: Notifier,
        outbox: Arc<Outbox>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            gatherer,
            engine: Engine::new(rules.clone())?,
            rules,
            notifier,
            outbox,
            forecasts: Forecasts::default(),
            pace: ForecastPace::default(),
        })
    }

    /// The same with forecasts for rules made at another pace.
    #[must_use]
    pub const fn with_forecasts(mut self, pace: ForecastPace) -> Self {
        self.pace = pace;
        self
    }

    /// Evaluates every rule and hands what is due to the outbox. Waits for nobody: sending is [`Outbox::run`]'s.
    pub fn tick(&mut self, now: Timestamp) -> Tick {
        let mut gatherer = self.gatherer.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.engine.save(gatherer.index());
        if gatherer.make_room(now) {
            self.forecasts.clear();
            renumber(&mut self.engine, &self.rules, state, &mut gatherer);
        }
        self.forecasts.drop_old(&self.pace, now);
        let view = View::new(&gatherer, &mut self.forecasts, self.pace, now);
        let alerts = self.engine.evaluate(gatherer.index(), &view, now);
        drop(gatherer);
        self.notifier.take(&alerts, now);
        let notifications = self.notifier.poll(now);
        let told = notifications.len();
        for notification in notifications {
            self.outbox.put(notification);
        }
        Tick { alerts, told }
    }

    /// Routes, silences and inhibitions, to be changed.
    pub const fn notifier_mut(&mut self) -> &mut Notifier {
        &mut self.notifier
    }

    /// What is to outlive a restart.
    #[must_use]
    pub fn save(&self) -> AlarmsState {
        let gatherer = self.gatherer.lock().unwrap_or_else(PoisonError::into_inner);
        AlarmsState {
            engine: self.engine.save(gatherer.index()),
            notifier: self.notifier.clone(),
            unsent: self.outbox.unsent(),
        }
    }

    /// Takes over what was there before a restart. Routes and silences are those that were saved; what could not be sent then
    /// is sent now.
    pub fn restore(&mut self, state: AlarmsState) {
        let mut gatherer = self.gatherer.lock().unwrap_or_else(PoisonError::into_inner);
        gatherer.with_names(|index| self.engine.restore(state.engine, index));
        drop(gatherer);
        self.notifier = state.notifier;
        state.unsent.into_iter().for_each(|unsent| self.outbox.put(unsent));
    }
}

/// Series have got other numbers: the engine finds its own again by their names.
fn renumber(engine: &mut Engine, rules: &[Rule], state: EngineState, gatherer: &mut MutexGuard<'_, Gatherer>) {
    if let Ok(fresh) = Engine::new(rules.to_vec()) {
        *engine = fresh;
    }
    gatherer.with_names(|index| engine.restore(state, index));
}
