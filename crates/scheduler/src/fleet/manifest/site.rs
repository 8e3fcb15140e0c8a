//! Questions about the machines of one site, or of all sites, for some replicas of some services.

use skyloom_core::Dimension;

use super::parts::per_machine_max;
use crate::fleet::problem::{Amounts, DEVICE_MILLI, Devices, FleetProblem, Limit, MachineOffer, Workload};
use crate::model::Model;

/// Billionths of a dollar in a millionth.
pub(crate) const NANO_PER_MICRO: u64 = 1000;

/// What a partial device counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partial {
    /// No device: what is bought can be used.
    None,
    /// A whole device: nothing that could be is excluded.
    Whole,
}

/// The question which of these options to buy for so many replicas of these services. Offers stand in the order of the
/// options, workloads in that of the services.
pub(crate) fn question(
    model: &Model<'_>,
    options: &[usize],
    wanted: &[(usize, u64)],
    partial: Partial,
) -> FleetProblem {
    let names = [Dimension::Cpu, Dimension::Memory, Dimension::Disk];
    let mut problem = FleetProblem::new(names.iter().map(ToString::to_string).collect());
    let amounts = |of: &skyloom_core::Resources| {
        let mut amounts = Amounts::default();
        amounts.0.iter_mut().zip(names).for_each(|(to, d)| *to = of.get(d));
        amounts
    };
    for &option in options {
        let (capacity, foreign) = (room(model, option), has_foreign_devices(model, option));
        let milli = capacity.gpu.as_milligpus();
        let devices = match partial {
            _ if foreign => 0,
            Partial::None => milli / u64::from(DEVICE_MILLI),
            Partial::Whole => milli.div_ceil(u64::from(DEVICE_MILLI)),
        };
        let price = u64::try_from(model.options[option].price.as_micros()).unwrap_or(0);
        problem.offers.push(MachineOffer {
            capacity: amounts(&capacity),
            devices: u32::try_from(devices)
                .unwrap_or(u32::MAX)
                .min(crate::fleet::validate::DEVICES_MAX),
            nano_usd_per_hour: price.saturating_mul(NANO_PER_MICRO),
        });
    }
    for &(service, copies) in wanted {
        let may = |(at, option): (usize, &usize)| may_carry(model, service, *option, partial).then_some(at);
        problem
            .eligibility
            .push(options.iter().enumerate().filter_map(may).collect());
        let request = model.request(service);
        problem.workloads.push(Workload {
            need: amounts(request),
            devices: devices(request.gpu.as_milligpus()),
            copies,
            per_machine_max: per_machine_max(model, service),
            eligible: Some(problem.eligibility.len() - 1),
        });
    }
    let nodes = options
        .iter()
        .enumerate()
        .filter(|(_, option)| model.options[**option].node.is_some());
    for (at, option) in nodes {
        problem.limits.push(Limit {
            name: format!("machine {option}"),
            max: 1,
            takes: vec![(at, 1)],
        });
    }
    problem
}

/// What is left of an option: of a machine that is there, what others have is taken off.
fn room(model: &Model<'_>, option: usize) -> skyloom_core::Resources {
    let capacity = model.options[option].capacity;
    let foreign = model
        .foreign
        .iter()
        .filter(|foreign| foreign.node == option && option < model.node_count);
    foreign.fold(capacity, |left, foreign| {
        left.checked_sub(&foreign.request)
            .unwrap_or(skyloom_core::Resources::ZERO)
    })
}

/// Whether others have devices of a machine that is there: which ones is not known, so none are counted on.
fn has_foreign_devices(model: &Model<'_>, option: usize) -> bool {
    let mut foreign = model.foreign.iter();
    option < model.node_count && foreign.any(|foreign| foreign.node == option && !foreign.request.gpu.is_zero())
}

/// Whether a service may be on an option, as far as that does not depend on where others go. From below every option
/// counts that passes the filters.
fn may_carry(model: &Model<'_>, service: usize, option: usize, partial: Partial) -> bool {
    let spec = &model.services[service];
    let apart = |foreign: &crate::model::Foreign| {
        foreign.node == option && spec.conflicts.binary_search(&foreign.service).is_ok()
    };
    let conflicts = option < model.node_count && model.foreign.iter().any(apart);
    spec.statics[option].is_none() && (partial == Partial::Whole || !conflicts)
}

fn devices(milli: u64) -> Devices {
    let milli = u32::try_from(milli).unwrap_or(u32::MAX);
    match milli {
        0 => Devices::None,
        share if share < DEVICE_MILLI => Devices::Share(share),
        whole => Devices::Whole(whole.div_ceil(DEVICE_MILLI)),
    }
}
