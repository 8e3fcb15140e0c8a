//! Least expected cost: learn how spot comes and goes, and weigh each choice by what finishing costs after it.

use super::belief::{Belief, as_f64};
use super::value::{Terms, Values};
use super::{Moment, Pilot, Seat};

/// Learns the rates at which spot comes and goes, and takes the seat with the least expected cost to the end.
#[derive(Debug, Clone, Default)]
pub struct ExpectedCost {
    belief: Belief,
    values: Option<Values>,
}

impl Pilot for ExpectedCost {
    fn choose(&mut self, moment: &Moment<'_>) -> Seat {
        self.belief.learn(moment);
        let up_zones = (0..moment.up.len()).filter(|zone| moment.is_up(*zone));
        let best = up_zones.min_by(|a, b| {
            let (a, b) = (self.belief.eviction(*a), self.belief.eviction(*b));
            a.total_cmp(&b)
        });
        if let Seat::Spot(_) = moment.seat {
            return moment.seat;
        }
        let zone = best.unwrap_or(0);
        let terms = Terms {
            work_s: as_f64(moment.work_left_s),
            slack_s: as_f64(moment.slack_s()),
            tick_s: as_f64(moment.job.tick_s()),
            restart_s: as_f64(moment.job.restart_s()),
            loss_s: as_f64(moment.job.loss_s()),
            spot: moment.market.rate(Seat::Spot(zone)) as f64 / moment.market.rate(Seat::OnDemand) as f64,
            rates: self.belief.rates(zone),
        };
        if self.values.as_ref().is_none_or(|v| is_stale(v.terms(), &terms)) {
            self.values = Some(Values::new(terms));
        }
        let Some(values) = &self.values else { return Seat::Idle };
        let (work_s, slack_s) = (terms.work_s, terms.slack_s);
        let up = best.is_some();
        let on_demand = moment.seat == Seat::OnDemand;
        let mut options = vec![
            (values.demand(up, on_demand, work_s, slack_s), Seat::OnDemand),
            (values.wait(up, work_s, slack_s), Seat::Idle),
        ];
        if let Some(zone) = best {
            options.push((values.start_spot(work_s, slack_s), Seat::Spot(zone)));
        }
        options.retain(|(_, seat)| moment.is_safe(*seat));
        options
            .into_iter()
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or(Seat::OnDemand, |(_, seat)| seat)
    }
}

fn is_stale(old: &Terms, new: &Terms) -> bool {
    let moved = |a: f64, b: f64| (a - b).abs() > 0.05 * b;
    moved(old.rates.eviction, new.rates.eviction)
        || moved(old.rates.drought, new.rates.drought)
        || moved(old.rates.return_, new.rates.return_)
        || (old.rates.refuge - new.rates.refuge).abs() > 0.05
        || old.spot != new.spot
        || new.work_s < old.work_s / 2.0
        || new.slack_s < old.slack_s / 2.0
        || new.work_s > old.work_s
}
