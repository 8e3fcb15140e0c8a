//! Spot under a deadline against adversaries, an enumeration of every plan, and recorded traces.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use skyloom_core::{MicroUsd, MicroUsdPerHour};
use skyloom_scheduler::risk::spot::*;

use crate::random_world::Dice;

const ON_DEMAND: i64 = 3_060_000;
const SPOT: i64 = 918_000;

fn job(work_s: u64, deadline_s: u64, tick_s: u64, restart_s: u64, loss_s: u64) -> Result<SpotJob, SpotError> {
    SpotJob::new(&JobTerms {
        work: Duration::from_secs(work_s),
        deadline: Duration::from_secs(deadline_s),
        tick: Duration::from_secs(tick_s),
        restart: Duration::from_secs(restart_s),
        loss: Duration::from_secs(loss_s),
    })
}

fn market(zones: usize) -> Market {
    let zone = |n: usize| SpotZone {
        name: format!("z{n}"),
        price: MicroUsdPerHour::from_micros(SPOT + i64::try_from(n).unwrap() * 50_000),
    };
    Market::new(MicroUsdPerHour::from_micros(ON_DEMAND), (0..zones).map(zone).collect()).unwrap()
}

/// Wants whatever the dice say.
struct Wild(Dice);

impl Pilot for Wild {
    fn choose(&mut self, moment: &Moment<'_>) -> Seat {
        match self.0.roll(4) {
            0 => Seat::Idle,
            1 => Seat::OnDemand,
            2 => moment.seat,
            _ => Seat::Spot(usize::try_from(self.0.roll(3)).unwrap()),
        }
    }
}

/// Every pilot of the table, and one that is no good.
fn pilots(seed: u64) -> Vec<(&'static str, Box<dyn Pilot>)> {
    let mut all: Vec<(&str, Box<dyn Pilot>)> = PILOTS.iter().map(|p| (p.name, (p.new)())).collect();
    all.push(("wild", Box::new(Wild(Dice::new(seed)))));
    all
}

/// Drives a pilot through a world that takes spot away in the middle of ticks, and rather when the job is on it; shares
/// no code with the replay. Gives the seconds of work left at the deadline.
fn driven(job: &SpotJob, market: &Market, pilot: &mut dyn Pilot, dice: &mut Dice, malice: u64) -> u64 {
    let zones = market.zones().len();
    let mut up = vec![false; zones];
    let (mut seat, mut warm_up_s, mut done_in_spell_s, mut left_s) = (Seat::Idle, 0, 0, job.work_s());
    let (mut now_s, mut tick) = (0, 0);
    while now_s < job.deadline_s() && left_s > 0 {
        for (zone, state) in up.iter_mut().enumerate() {
            let ridden = seat == Seat::Spot(zone);
            *state = if ridden {
                !dice.one_in(malice)
            } else {
                dice.one_in(2) == *state || dice.one_in(3)
            };
        }
        if let Seat::Spot(zone) = seat
            && !up[zone]
        {
            left_s += done_in_spell_s.min(job.loss_s());
            (seat, warm_up_s, done_in_spell_s) = (Seat::Idle, 0, 0);
        }
        let at_risk_s = if matches!(seat, Seat::Spot(_)) {
            done_in_spell_s.min(job.loss_s())
        } else {
            0
        };
        let moment = Moment {
            job,
            market,
            tick,
            left_s: job.deadline_s() - now_s,
            work_left_s: left_s,
            seat,
            warm_up_left_s: warm_up_s,
            at_risk_s,
            up: &up,
        };
        let next = moment.guarded(pilot.choose(&moment));
        if next != seat {
            (seat, done_in_spell_s) = (next, 0);
            warm_up_s = if next == Seat::Idle { 0 } else { job.restart_s() };
        }
        let span_s = job.tick_s().min(job.deadline_s() - now_s);
        // Spot may be lost after any second of the tick.
        let (rides_s, lost) = match seat {
            Seat::Idle => (0, false),
            Seat::OnDemand => (span_s, false),
            Seat::Spot(_) if dice.one_in(malice) => (dice.roll(span_s + 1), true),
            Seat::Spot(_) => (span_s, false),
        };
        let warmed_s = warm_up_s.min(rides_s);
        let worked_s = (rides_s - warmed_s).min(left_s);
        warm_up_s -= warmed_s;
        left_s -= worked_s;
        done_in_spell_s += worked_s;
        if lost && left_s > 0 {
            left_s += done_in_spell_s.min(job.loss_s());
            (seat, warm_up_s, done_in_spell_s) = (Seat::Idle, 0, 0);
        }
        now_s += span_s;
        tick += 1;
    }
    left_s
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    /// No deadline is missed, whatever the trace, the pilot and the terms.
    #[test]
    fn no_deadline_is_ever_missed(
        seed in any::<u64>(), work_s in 1_u64..9000, spare_s in 0_u64..9000, tick_s in 1_u64..1500,
        restart_s in 0_u64..1200, loss_s in 0_u64..2000, zones in 1_usize..4, malice in 2_u64..40,
    ) {
        let tick_s = tick_s.max(work_s / 100 + 1);
        let job = job(work_s, work_s + restart_s + spare_s, tick_s, restart_s, loss_s).unwrap();
        let market = market(zones);
        for (name, mut pilot) in pilots(seed) {
            let left_s = driven(&job, &market, pilot.as_mut(), &mut Dice::new(seed), malice);
            prop_assert_eq!(left_s, 0, "{}", name);
        }
    }
}

fn random_traces(dice: &mut Dice, zones: usize, points: usize) -> Vec<SpotTrace> {
    let one = |dice: &mut Dice| {
        let change = 2 + dice.roll(6);
        let mut state = dice.one_in(2);
        let ticks = (0..points).map(|_| {
            state ^= dice.one_in(change);
            state
        });
        SpotTrace::new(ticks.collect())
    };
    (0..zones).map(|_| one(dice)).collect()
}

/// The least cost in price times seconds, over every plan: a seat for every tick.
fn enumerated(job: &SpotJob, market: &Market, traces: &[SpotTrace], state: (u64, u64, Seat, u64), bill: u128) -> u128 {
    let (tick, left_s, seat, warm_up_s) = state;
    let passed_s = tick * job.tick_s();
    if passed_s >= job.deadline_s() {
        return u128::MAX;
    }
    let span_s = job.tick_s().min(job.deadline_s() - passed_s);
    let seats = [Seat::Idle, Seat::OnDemand]
        .into_iter()
        .chain((0..traces.len()).map(Seat::Spot));
    let mut best = u128::MAX;
    for next in seats {
        let price = match next {
            Seat::Idle => 0,
            Seat::OnDemand => ON_DEMAND,
            Seat::Spot(zone) if !traces[zone].up()[usize::try_from(tick).unwrap()] => continue,
            Seat::Spot(zone) => market.zones()[zone].price.as_micros(),
        };
        let price = u128::try_from(price).unwrap();
        let warm_s = match next {
            Seat::Idle => 0,
            _ if next == seat => warm_up_s,
            _ => job.restart_s(),
        };
        let ran_s = if next == Seat::Idle {
            0
        } else {
            span_s.min(warm_s + left_s)
        };
        let worked_s = ran_s.saturating_sub(warm_s);
        let bill = bill + price * u128::from(ran_s);
        let cost = if worked_s == left_s {
            bill
        } else {
            let state = (tick + 1, left_s - worked_s, next, warm_s.saturating_sub(ran_s));
            enumerated(job, market, traces, state, bill)
        };
        best = best.min(cost);
    }
    best
}

#[test]
fn the_optimum_is_the_least_of_all_plans() {
    let mut dice = Dice::new(2);
    for case in 0..60 {
        let zones = 1 + usize::try_from(dice.roll(2)).unwrap();
        let tick_s = 60;
        let work_s = 100 + dice.roll(120);
        let restart_s = *dice.pick(&[0, 7, 60, 75]);
        let deadline_s = (work_s + restart_s + dice.roll(150)).min(if zones == 1 { 480 } else { 360 });
        let Ok(job) = job(work_s, deadline_s, tick_s, restart_s, 0) else {
            continue;
        };
        let market = market(zones);
        let traces = random_traces(&mut dice, zones, 9);
        let window = Window::new(&traces, 0, &job, &market).unwrap();
        let least = enumerated(&job, &market, &traces, (0, work_s, Seat::Idle, 0), 0);
        let expected = i64::try_from((least + 1800) / 3600).unwrap();
        assert_eq!(
            optimum(&job, &market, window).as_micros(),
            expected,
            "{case}: {job:?} {traces:?}"
        );
    }
}

#[test]
fn nobody_beats_the_optimum_and_everybody_is_in_time() {
    let mut dice = Dice::new(9);
    for case in 0..60 {
        let zones = 1 + usize::try_from(dice.roll(3)).unwrap();
        let restart_s = *dice.pick(&[0, 120, 400]);
        let loss_s = *dice.pick(&[0, 0, 500]);
        let work_s = 6000 + dice.roll(9000);
        let job = job(work_s, work_s + restart_s + dice.roll(12_000), 300, restart_s, loss_s).unwrap();
        let market = market(zones);
        let traces = random_traces(&mut dice, zones, 100);
        let window = Window::new(&traces, 2, &job, &market).unwrap();
        let least = optimum(&job, &market, window);
        for (name, mut pilot) in pilots(case) {
            let outcome = replay(&job, &market, window, pilot.as_mut());
            assert!(
                !outcome.missed && outcome.finished_s <= job.deadline_s(),
                "{case} {name}: {outcome:?}"
            );
            assert!(outcome.cost >= least, "{case} {name}: {outcome:?} {least}");
            if name != "wild" {
                assert!(outcome.starts <= outcome.evictions + 60, "{case} {name}: {outcome:?}");
            }
        }
    }
}

/// Writes down what a pilot wants.
struct Diary<'a>(&'a mut dyn Pilot, Vec<Seat>);

impl Pilot for Diary<'_> {
    fn choose(&mut self, moment: &Moment<'_>) -> Seat {
        let seat = self.0.choose(moment);
        self.1.push(seat);
        seat
    }
}

#[test]
fn the_future_does_not_change_the_past() {
    let mut dice = Dice::new(6);
    let job = job(9000, 15_000, 300, 200, 100).unwrap();
    let market = market(2);
    let diary = |traces: &[SpotTrace], pilot: &mut dyn Pilot| {
        let mut diary = Diary(pilot, Vec::new());
        let _outcome = replay(
            &job,
            &market,
            Window::new(traces, 0, &job, &market).unwrap(),
            &mut diary,
        );
        diary.1
    };
    for _ in 0..40 {
        let traces = random_traces(&mut dice, 2, 50);
        let fork = usize::try_from(1 + dice.roll(49)).unwrap();
        let other: Vec<SpotTrace> = traces
            .iter()
            .map(|trace| {
                let ticks = trace.up().iter().enumerate();
                SpotTrace::new(ticks.map(|(tick, up)| if tick < fork { *up } else { !up }).collect())
            })
            .collect();
        for pilot in PILOTS {
            let (a, b) = (
                diary(&traces, (pilot.new)().as_mut()),
                diary(&other, (pilot.new)().as_mut()),
            );
            let common = fork.min(a.len()).min(b.len());
            assert_eq!(a[..common], b[..common], "{}", pilot.name);
            assert_eq!(diary(&traces, (pilot.new)().as_mut()), a, "{}", pilot.name);
        }
    }
}

#[test]
fn a_replay_counts_every_second() {
    // Up for two ticks, down for one, up for the rest; work 1000 s, restart 100 s, tick 300 s.
    let job = job(1000, 4000, 300, 100, 50).unwrap();
    let market = market(1);
    let traces = [SpotTrace::from_runs("1*2;0*1;1*20", 1).unwrap()];
    let window = Window::new(&traces, 0, &job, &market).unwrap();
    let greedy = replay(&job, &market, window, &mut policy::Greedy);
    // 600 s give 500 of work, 50 of them are lost; after a tick of waiting 100 + 550 s more.
    assert_eq!((greedy.spot_s, greedy.on_demand_s, greedy.finished_s), (1250, 0, 1550));
    assert_eq!(
        (greedy.starts, greedy.evictions, greedy.lost_s, greedy.overruled),
        (2, 1, 50, 0)
    );
    assert_eq!(greedy.cost.as_micros(), (SPOT * 1250 + 1800) / 3600);
    let steady = replay(&job, &market, window, &mut policy::OnDemandOnly);
    assert_eq!((steady.on_demand_s, steady.finished_s, steady.starts), (1100, 1100, 1));
    // Never up: greedy waits as long as it may, and pays for all of it on demand.
    let down = [SpotTrace::new(vec![false; 20])];
    let late = replay(
        &job,
        &market,
        Window::new(&down, 0, &job, &market).unwrap(),
        &mut policy::Greedy,
    );
    assert_eq!((late.on_demand_s, late.missed), (1100, false));
    assert!(late.finished_s > 3600 && late.overruled > 0);
}

/// The recorded traces as (nodes, tick, trace), or `None` where they are not kept.
fn recorded() -> Option<Vec<(String, u64, SpotTrace)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/traces/spot/spot_traces.csv");
    #[expect(
        clippy::disallowed_methods,
        reason = "engines read no files; a test of recorded data does"
    )]
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: the recorded spot traces are not at {}", path.display());
        return None;
    };
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let trace = SpotTrace::from_runs(cells[9], cells[1].parse().unwrap()).unwrap();
        assert_eq!(trace.up().len().to_string(), cells[6], "{line:.80}");
        (cells[..5].join(" "), cells[5].parse().unwrap(), trace)
    });
    Some(rows.collect())
}

#[test]
fn recorded_traces_cost_less_by_expected_cost_and_no_deadline_is_missed() {
    let Some(traces) = recorded() else { return };
    assert_eq!(traces.len(), 34);
    let market = market(1);
    for slack_s in [7200, 36_000] {
        let mut sums = vec![MicroUsd::ZERO; PILOTS.len()];
        for (name, tick_s, trace) in &traces {
            let job = job(72_000, 72_000 + slack_s, *tick_s, 360, 0).unwrap();
            let room = trace.up().len() - usize::try_from(job.ticks()).unwrap();
            let window = Window::new(std::slice::from_ref(trace), room / 2, &job, &market).unwrap();
            for (pilot, sum) in PILOTS.iter().zip(&mut sums) {
                let outcome = replay(&job, &market, window, (pilot.new)().as_mut());
                assert!(!outcome.missed, "{name} {}", pilot.name);
                *sum = sum.checked_add(outcome.cost).unwrap();
            }
        }
        let cost = |name: &str| sums[PILOTS.iter().position(|p| p.name == name).unwrap()];
        for (pilot, sum) in PILOTS.iter().zip(&sums) {
            println!(
                "{slack_s} {} {:.4}",
                pilot.name,
                sum.as_usd() / cost("on-demand").as_usd()
            );
        }
        for rival in ["on-demand", "greedy", "uniform-progress"] {
            assert!(cost("expected-cost") < cost(rival), "{rival} at a slack of {slack_s}");
        }
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    let text = |result: Result<SpotJob, SpotError>| result.unwrap_err().to_string();
    assert_eq!(text(job(0, 10, 1, 0, 0)), "accept a work of zero");
    assert_eq!(text(job(10, 10, 0, 0, 0)), "accept a tick of zero");
    assert_eq!(
        text(job(100, 99, 1, 0, 0)),
        "finish 100 s of work and a start of 0 s within 99 s"
    );
    assert_eq!(
        text(job(100, 109, 1, 10, 0)),
        "finish 100 s of work and a start of 10 s within 109 s"
    );
    assert!(text(job(1, u64::MAX, 1, 0, 0)).contains("accept a deadline of"));
    assert!(text(job(1, 1 << 30, 1, 0, 0)).contains("ticks are accepted"));
    let fraction = SpotJob::new(&JobTerms {
        work: Duration::from_millis(1500),
        deadline: Duration::from_secs(9),
        tick: Duration::from_secs(1),
        restart: Duration::ZERO,
        loss: Duration::ZERO,
    });
    assert!(text(fraction).contains("whole seconds"));
    let usd = MicroUsdPerHour::from_micros;
    let zone = |name: &str, price: i64| SpotZone {
        name: name.to_owned(),
        price: usd(price),
    };
    let refused = |on_demand: i64, zones: Vec<SpotZone>| Market::new(usd(on_demand), zones).unwrap_err().to_string();
    assert!(refused(0, vec![zone("a", 1)]).contains("`on-demand`"));
    assert!(refused(1, vec![zone("a", -1)]).contains("`a`"));
    assert!(refused(1, Vec::new()).contains("without zones"));
    assert!(refused(1, vec![zone("a", 1), zone("a", 1)]).contains("both called `a`"));
    for runs in [
        "",
        "1",
        "x*2",
        "1*x",
        "1*-1",
        "1*99999999999999999999",
        "1*2;;1*2",
        "1*5000000",
    ] {
        assert!(SpotTrace::from_runs(runs, 1).is_err(), "{runs}");
    }
    assert!(SpotTrace::from_runs("1*2", 0).is_err());
    let job = job(100, 200, 10, 0, 0).unwrap();
    let short = [SpotTrace::new(vec![true; 19])];
    assert!(matches!(
        Window::new(&short, 0, &job, &market(1)),
        Err(SpotError::TraceTooShort { points: 19, .. })
    ));
    assert!(matches!(
        Window::new(&short, usize::MAX, &job, &market(1)),
        Err(SpotError::TraceTooShort { .. })
    ));
    assert!(matches!(
        Window::new(&short, 0, &job, &market(2)),
        Err(SpotError::ZoneCount { .. })
    ));
}
