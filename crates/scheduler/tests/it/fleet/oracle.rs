//! The exact optimum of tiny questions, by looking at every way to share copies out over machines.
//!
//! It shares no code with the engine: not the counting of devices, not the folding, not the checker.

use skyloom_scheduler::Effort;
use skyloom_scheduler::fleet::*;

use super::questions::tiny;

/// A machine while it is filled: its offer, and the workloads on it.
type Machine = (usize, Vec<usize>);

struct Oracle<'a> {
    problem: &'a FleetProblem,
    copies: Vec<usize>,
    machines: Vec<Machine>,
    best: Option<u128>,
}

/// The least cost of machines that hold these copies (workloads, one entry per copy); `None` if none can.
pub(crate) fn optimum(problem: &FleetProblem, copies: Vec<usize>) -> Option<u128> {
    let mut oracle = Oracle {
        problem,
        copies,
        machines: Vec::new(),
        best: None,
    };
    oracle.place(0, 0);
    oracle
        .best
        .map(|cost| cost + u128::from(problem.fixed_nano_usd_per_hour))
}

/// Every copy of the question, one entry each.
pub(crate) fn all_copies(problem: &FleetProblem) -> Vec<usize> {
    let each = problem.workloads.iter().enumerate();
    each.flat_map(|(at, w)| std::iter::repeat_n(at, usize::try_from(w.copies).unwrap()))
        .collect()
}

impl Oracle<'_> {
    fn place(&mut self, next: usize, cost: u128) {
        if self.best.is_some_and(|best| cost >= best) {
            return;
        }
        let Some(&workload) = self.copies.get(next) else {
            self.best = Some(cost);
            return;
        };
        for at in 0..self.machines.len() {
            self.machines[at].1.push(workload);
            if self.holds(&self.machines[at]) {
                self.place(next + 1, cost);
            }
            self.machines[at].1.pop();
        }
        for offer in 0..self.problem.offers.len() {
            self.machines.push((offer, vec![workload]));
            if self.holds(self.machines.last().unwrap()) && self.within_limits() {
                let price = u128::from(self.problem.offers[offer].nano_usd_per_hour);
                self.place(next + 1, cost + price);
            }
            self.machines.pop();
        }
    }

    fn within_limits(&self) -> bool {
        self.problem.limits.iter().all(|limit| {
            let each = |(offer, _): &Machine| limit.takes.iter().find(|(o, _)| o == offer).map_or(0, |(_, n)| *n);
            self.machines.iter().map(each).sum::<u64>() <= limit.max
        })
    }

    fn holds(&self, (offer, aboard): &Machine) -> bool {
        let spec = |at: &usize| &self.problem.workloads[*at];
        let looks = &self.problem.offers[*offer];
        let fits = |d: usize| aboard.iter().map(|at| spec(at).need.0[d]).sum::<u64>() <= looks.capacity.0[d];
        let may = |at: &usize| {
            spec(at)
                .eligible
                .is_none_or(|set| self.problem.eligibility[set].contains(offer))
        };
        let few = |at: &usize| {
            let here = aboard.iter().filter(|other| *other == at).count();
            spec(at).per_machine_max.is_none_or(|max| here <= max as usize)
        };
        (0..DIMENSIONS_MAX).all(fits)
            && aboard.iter().all(|at| may(at) && few(at))
            && devices_suffice(
                &mut vec![1000; looks.devices as usize],
                &aboard.iter().map(|at| spec(at).devices).collect::<Vec<_>>(),
            )
    }
}

/// Tries every device for every request.
fn devices_suffice(free: &mut Vec<u32>, requests: &[Devices]) -> bool {
    let Some((first, rest)) = requests.split_first() else {
        return true;
    };
    match first {
        Devices::None => devices_suffice(free, rest),
        Devices::Share(milli) => (0..free.len()).any(|device| {
            if free[device] < *milli {
                return false;
            }
            free[device] -= milli;
            let found = devices_suffice(free, rest);
            free[device] += milli;
            found
        }),
        Devices::Whole(number) => {
            // All subsets of untouched devices would be equal: any `number` of them will do.
            let untouched: Vec<usize> = (0..free.len()).filter(|d| free[*d] == 1000).collect();
            if untouched.len() < *number as usize {
                return false;
            }
            let taken = &untouched[..*number as usize];
            taken.iter().for_each(|d| free[*d] = 0);
            let found = devices_suffice(free, rest);
            taken.iter().for_each(|d| free[*d] = 1000);
            found
        }
    }
}

#[test]
fn the_bound_is_below_the_optimum_and_the_optimum_below_the_answer() {
    let (mut optimal, mut complete) = (0, 0);
    for seed in 0..400 {
        let problem = tiny(seed, 6);
        let answer = buy(&problem, &mut Effort::units(20_000)).unwrap();
        assert!(
            check(&problem, &answer).is_empty(),
            "seed {seed}: {:?}",
            check(&problem, &answer)
        );
        let held: Vec<usize> = answer
            .machines
            .iter()
            .flat_map(|m| &m.residents)
            .map(|r| r.workload)
            .collect();
        let best = optimum(&problem, held).unwrap();
        assert!(answer.lower_bound_nano_usd_per_hour <= best, "seed {seed}");
        assert!(best <= answer.nano_usd_per_hour, "seed {seed}");
        let all = optimum(&problem, all_copies(&problem));
        if answer.left_out.is_empty() {
            complete += 1;
            optimal += u32::from(best == answer.nano_usd_per_hour);
        } else if problem.limits.is_empty() {
            assert!(all.is_none(), "seed {seed}: all copies could be held");
        }
    }
    assert!(complete > 200, "{complete} of 400 questions can be held");
    assert!(
        optimal * 10 > complete * 9,
        "{optimal} of {complete} answers are optimal"
    );
}

#[test]
fn one_more_offer_never_makes_the_optimum_dearer() {
    for seed in 0..100 {
        let problem = tiny(seed, 5);
        let mut fewer = problem.clone();
        let last = fewer.offers.len() - 1;
        fewer.offers.pop();
        fewer
            .eligibility
            .iter_mut()
            .for_each(|set| set.retain(|offer| *offer != last));
        fewer
            .limits
            .iter_mut()
            .for_each(|limit| limit.takes.retain(|(offer, _)| *offer != last));
        let (with, without) = (
            optimum(&problem, all_copies(&problem)),
            optimum(&fewer, all_copies(&fewer)),
        );
        if let Some(without) = without {
            assert!(with.unwrap() <= without, "seed {seed}");
        }
    }
}
