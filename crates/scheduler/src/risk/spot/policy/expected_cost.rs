//! Least expected cost: learn how spot comes and goes, and weigh each seat by what finishing costs after it.
//!
//! Uniform Progress spends slack evenly, whatever spot does; this asks what an hour of slack is worth. It needs no traces
//! beforehand: what it has seen since the start is all it knows. The grid is `value`'s, the rates are `belief`'s.

use super::belief::{Belief, as_f64};
use super::value::{Terms, Values};
use super::{Moment, Pilot, Seat};

/// Learns the rates at which spot ends and returns from the ticks it is shown, and takes the seat with the least expected
/// cost to the end: spot, on demand, or waiting. Stays on spot while it is there, and of several zones takes the one
/// that is cheapest when its evictions are counted.
///
/// Cost: a grid of some ten thousand values whenever the rates have moved by more than 5%, a few look-ups otherwise.
#[derive(Debug, Clone, Default)]
pub struct ExpectedCost {
    belief: Belief,
    values: Option<Values>,
}

/// The values are solved anew when a number they depend on has moved by more than this share.
const STALE: f64 = 0.05;

impl Pilot for ExpectedCost {
    fn choose(&mut self, moment: &Moment<'_>) -> Seat {
        self.belief.learn(moment);
        if let Seat::Spot(_) = moment.seat {
            return moment.seat;
        }
        let best = self.best_zone(moment);
        let terms = self.terms(moment, best.unwrap_or(0));
        let values = match self.values.take() {
            Some(values) if !is_stale(values.terms(), &terms) => values,
            _ => Values::new(terms),
        };
        let values = self.values.insert(values);
        let (work_s, slack_s, is_up) = (terms.work_s, terms.slack_s, best.is_some());
        let on_demand = values.demand(is_up, moment.seat == Seat::OnDemand, work_s, slack_s);
        let mut options = vec![
            (on_demand, Seat::OnDemand),
            (values.wait(is_up, work_s, slack_s), Seat::Idle),
        ];
        if let Some(zone) = best {
            options.push((values.start_spot(work_s, slack_s), Seat::Spot(zone)));
        }
        options.retain(|(_, seat)| moment.is_safe(*seat));
        let least = options.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        least.map_or(Seat::OnDemand, |(_, seat)| seat)
    }
}

impl ExpectedCost {
    /// The zone that is up with the least price for a second of work: what is paid between two evictions, over what is
    /// done.
    fn best_zone(&self, moment: &Moment<'_>) -> Option<usize> {
        let wasted_s = as_f64(moment.job.restart_s()) + as_f64(moment.job.loss_s()) / 2.0;
        let price = |zone: usize| {
            let useful = 1.0 - (self.belief.eviction(zone) * wasted_s).min(0.999);
            price_ratio(moment, zone) / useful
        };
        let up = (0..moment.up.len()).filter(|zone| moment.is_up(*zone));
        up.map(|zone| (price(zone), zone))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, zone)| zone)
    }

    fn terms(&self, moment: &Moment<'_>, zone: usize) -> Terms {
        Terms {
            work_s: as_f64(moment.work_left_s),
            slack_s: as_f64(moment.slack_s()),
            tick_s: as_f64(moment.job.tick_s()),
            restart_s: as_f64(moment.job.restart_s()),
            loss_s: as_f64(moment.job.loss_s()),
            spot: price_ratio(moment, zone),
            rates: self.belief.rates(zone),
        }
    }
}

/// Spot price over on-demand price; at most 1000, beyond which more makes no difference.
fn price_ratio(moment: &Moment<'_>, zone: usize) -> f64 {
    let on_demand = moment.market.on_demand().as_usd();
    let spot = moment.market.zones().get(zone).map_or(on_demand, |z| z.price.as_usd());
    (spot / on_demand).min(1000.0)
}

fn is_stale(old: &Terms, new: &Terms) -> bool {
    let moved = |a: f64, b: f64| (a - b).abs() > STALE * a.max(b);
    let pairs = [
        (old.rates.eviction, new.rates.eviction),
        (old.rates.drought, new.rates.drought),
        (old.rates.return_, new.rates.return_),
        (old.spot, new.spot),
        (1.0 + old.rates.refuge, 1.0 + new.rates.refuge),
    ];
    // The grid covers all work and slack below its own, but too coarsely for far less of it.
    let outgrown = |old: f64, new: f64| new > old || new < old / 2.0;
    pairs.into_iter().any(|(a, b)| moved(a, b))
        || outgrown(old.work_s, new.work_s)
        || outgrown(old.slack_s, new.slack_s)
}
