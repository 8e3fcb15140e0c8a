//! Sites and machines become a state of replicas, on which every rule is looked at again: what a question about
//! machines could not say is held here, and what it spoiled is mended by the packing and the local search of `place`.

use super::assign::{Assigner, machines};
use super::error::ManifestFleetError;
use crate::effort::Effort;
use crate::fleet::unfold::unfold;
use crate::improve::{Search, descend};
use crate::model::Model;
use crate::pack::{Only, Tactic, pack};
use crate::rules::settle;
use crate::state::State;

use super::site::{Partial, question};

/// Units of work of the local search over replicas, which is quadratic in machines and so for small fleets only.
const WORK_MAX: u64 = 3_000_000;

/// Replicas up to which it runs.
pub(crate) const REPLICAS_MAX: usize = 400;

/// Every replica on a machine of its part's site, as far as the rules allow; the rest packed where they do.
pub(crate) fn settled(
    assigner: &Assigner<'_, '_>,
    sites: &[usize],
    effort: &mut Effort<'_>,
) -> Result<State, ManifestFleetError> {
    let model = assigner.model;
    let mut state = State::new(model);
    let mut next: Vec<std::collections::BTreeMap<usize, Vec<usize>>> = replicas_by_site(assigner, sites);
    let loads = assigner.loads(sites);
    let all = u32::try_from(loads.len()).unwrap_or(u32::MAX);
    for (number, (site, load)) in (0u32..).zip(&loads) {
        let options = &assigner.options[*site];
        let problem = question(model, options, load, Partial::None);
        let folding = crate::fleet::fold::fold(&problem)?;
        let (from, to) = (
            f64::from(number) / f64::from(all),
            f64::from(number + 1) / f64::from(all),
        );
        let bought = effort.between(from, to, |effort| machines(&folding, effort));
        let (bought, _) = unfold(&problem, &folding, bought)?;
        for machine in bought {
            let option = options[machine.offer];
            let mut slot = (option < model.node_count).then_some(option);
            for resident in machine.residents {
                let service = load[resident.workload].0;
                let Some(replica) = next[service].get_mut(site).and_then(Vec::pop) else {
                    continue;
                };
                let target = *slot.get_or_insert_with(|| state.open(model, option));
                if state.lacks(model, target, model.request(service)).is_none() {
                    state.add(model, replica, target);
                }
            }
        }
    }
    mend(model, &mut state);
    Ok(state)
}

/// Replicas of each service by the site of their part; the lowest number is the last, to be taken first.
fn replicas_by_site(
    assigner: &Assigner<'_, '_>,
    sites: &[usize],
) -> Vec<std::collections::BTreeMap<usize, Vec<usize>>> {
    let model = assigner.model;
    let mut replicas = vec![std::collections::BTreeMap::<usize, Vec<usize>>::new(); model.services.len()];
    for (part, site) in assigner.parts.iter().zip(sites).rev() {
        let first = model.services[part.service].first + part.first;
        replicas[part.service]
            .entry(*site)
            .or_default()
            .extend((first..first + part.count).rev());
    }
    replicas
}

/// Takes back what breaks a rule and packs what has no place, until neither helps.
fn mend(model: &Model<'_>, state: &mut State) {
    let pinned = vec![false; model.replicas.len()];
    settle(model, state, &pinned);
    let todo: Vec<usize> = (0..model.replicas.len())
        .filter(|replica| state.at[*replica].is_none())
        .collect();
    if !todo.is_empty() {
        let tactic = Tactic {
            only: Only::Anything,
            amortise: true,
        };
        pack(model, state, &todo, tactic, &mut Effort::units(u64::MAX));
        settle(model, state, &pinned);
    }
}

/// The local search over replicas, for fleets that are small enough.
pub(crate) fn refined(model: &Model<'_>, state: State) -> State {
    if model.replicas.len() > REPLICAS_MAX {
        return state;
    }
    let pinned = vec![false; model.replicas.len()];
    let mut work = Effort::units(WORK_MAX);
    let mut search = Search {
        model,
        pinned: &pinned,
        work: &mut work,
    };
    descend(&mut search, state)
}
