//! Everything that is said about one series: verdicts, alerts, and what comes next.

use std::time::Duration;

use skyloom::analytics::alert::{
    Comparison, Condition, Engine, Labels, METRIC_NAME, Readings, Rule, SeriesId, SeriesIndex,
};
use skyloom::analytics::detect::{Band, Detector, Verdict};
use skyloom::analytics::forecast::{Forecast, ForecastConfig, ForecastStep, HORIZON_MAX, forecast};
use skyloom::analytics::prepare::Pipeline;
use skyloom::core::{Sample, Timestamp};

use crate::Failure;
use crate::series::Named;

/// What is asked for.
pub(crate) struct Wanted {
    pub(crate) horizon: Option<usize>,
    pub(crate) level: f64,
    pub(crate) above: Option<f64>,
}

/// A series and what was found.
pub(crate) struct Study {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) refused: usize,
    /// Where each value was expected; those of the warm-up are left out.
    pub(crate) bands: Vec<(Timestamp, Band)>,
    pub(crate) alarms: Vec<(Sample, Verdict)>,
    pub(crate) alerts: Vec<Fired>,
    pub(crate) ahead: Vec<ForecastStep>,
    /// How the forecast was made, or why there is none.
    pub(crate) how: String,
    pub(crate) level: f64,
    pub(crate) step: Duration,
}

/// One time that a rule fired.
pub(crate) struct Fired {
    pub(crate) rule: String,
    pub(crate) from: Timestamp,
    /// `None`: it still does.
    pub(crate) until: Option<Timestamp>,
}

/// Series shorter than this are judged by the light preset, which learns more quickly.
const SHORT: usize = 400;
/// Steps that an alert goes on firing after its cause has gone.
const KEEP_STEPS: u32 = 12;
/// Steps that a value must be above a threshold before that is an alert.
const HOLD_STEPS: u32 = 3;

impl Study {
    pub(crate) fn of(named: Named, wanted: &Wanted) -> Result<Self, Failure> {
        let Named { name, samples, refused } = named;
        let step = spacing(&samples);
        let mut study = Self {
            step,
            bands: Vec::new(),
            alarms: Vec::new(),
            alerts: Vec::new(),
            ahead: Vec::new(),
            how: String::new(),
            level: wanted.level,
            name,
            samples,
            refused,
        };
        study.judge(wanted)?;
        match study.look_ahead(wanted) {
            Ok(made) => {
                study.how = how(&made);
                study.ahead = made.steps;
            }
            Err(failure) => study.how = format!("no forecast: failed to {failure}"),
        }
        Ok(study)
    }

    /// Detector and rules over the samples in their order.
    fn judge(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let mut detector = if self.samples.len() < SHORT {
            Detector::light()
        } else {
            Detector::new()
        };
        let mut index = SeriesIndex::default();
        let id = index.insert(Labels::default().with(METRIC_NAME, self.name.as_str()));
        let keep = self.step.saturating_mul(KEEP_STEPS);
        let mut rules =
            vec![Rule::new("anomaly", Vec::new(), Condition::Anomaly { score: 0.5 }).with_holds(Duration::ZERO, keep)];
        if let Some(than) = wanted.above {
            let is = Comparison::Above;
            let hold = self.step.saturating_mul(HOLD_STEPS);
            let high = Rule::new(format!("above {than}"), Vec::new(), Condition::Value { is, than });
            rules.push(high.with_holds(hold, Duration::ZERO));
        }
        let mut engine = Engine::new(rules)?;
        for sample in &self.samples {
            let verdict = detector.push(*sample)?;
            if verdict.reason != skyloom::analytics::detect::Reason::WarmUp {
                self.bands.push((sample.at, verdict.band));
            }
            if verdict.is_anomaly {
                self.alarms.push((*sample, verdict));
            }
            let now = Now {
                id,
                sample: *sample,
                verdict,
            };
            for alert in engine.evaluate(&index, &now, sample.at) {
                let rule = alert.labels.get("alertname").to_owned();
                let open = self
                    .alerts
                    .iter_mut()
                    .rev()
                    .find(|fired| fired.rule == rule && fired.until.is_none());
                match (open, alert.ends_at) {
                    (Some(fired), Some(end)) => fired.until = Some(end),
                    (None, None) => self.alerts.push(Fired {
                        rule,
                        from: alert.starts_at,
                        until: None,
                    }),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn look_ahead(&self, wanted: &Wanted) -> Result<Forecast, Failure> {
        let horizon = wanted.horizon.unwrap_or(self.samples.len() / 8);
        let horizon = horizon.clamp(1, HORIZON_MAX);
        let prepared = Pipeline::gauge(self.step)?.run(&self.samples)?;
        let mut config = ForecastConfig::new(horizon, wanted.level)?;
        // What was never negative is taken not to become so.
        if self.samples.iter().all(|sample| sample.value >= 0.0) {
            config = config.with_bounds(0.0, f64::INFINITY)?;
        }
        Ok(prepared.invert(&forecast(&prepared.regular, &config)?))
    }

    /// One line for the terminal.
    pub(crate) fn line(&self) -> String {
        let (samples, alarms, alerts) = (self.samples.len(), self.alarms.len(), self.alerts.len());
        format!(
            "{}: {samples} samples, {alarms} alarms, {alerts} alerts; {}",
            self.name, self.how
        )
    }
}

/// The median time between two samples; a second where there is none.
fn spacing(samples: &[Sample]) -> Duration {
    let gap = |w: &[Sample]| w[1].at.saturating_since(w[0].at);
    let mut gaps: Vec<Duration> = samples.windows(2).map(gap).filter(|gap| !gap.is_zero()).collect();
    gaps.sort();
    gaps.get(gaps.len() / 2).copied().unwrap_or(Duration::from_secs(1))
}

fn how(made: &Forecast) -> String {
    let mut members: Vec<_> = made.members.iter().filter(|member| member.weight > 0.05).collect();
    members.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let members: Vec<String> = members
        .iter()
        .take(4)
        .map(|member| format!("{} {:.0} %", member.name, 100.0 * member.weight))
        .collect();
    let seasons = match made.periods.as_slice() {
        [] => "no season".to_owned(),
        periods => format!("seasons of {periods:?} steps"),
    };
    let made_of = if members.is_empty() {
        made.method.clone()
    } else {
        members.join(", ")
    };
    format!("{seasons}; {made_of}")
}

/// One series at one moment, as rules see it.
struct Now {
    id: SeriesId,
    sample: Sample,
    verdict: Verdict,
}

impl Readings for Now {
    fn value(&self, series: SeriesId) -> Option<f64> {
        (series == self.id).then_some(self.sample.value)
    }

    fn anomaly(&self, series: SeriesId) -> Option<f64> {
        (series == self.id).then_some(self.verdict.score)
    }
}
