//! Where each replica runs and what that costs, over every cloud of the catalogue; nothing is touched.

use skyloom::core::{Machine, Placement, Snapshot, Timestamp, check_places};
use skyloom::orchestrator::ServiceGraph;
use skyloom::scheduler::formulas::Mean;
use skyloom::scheduler::{Cheapest, LoadReport, MachineLoad, PlaceConfig, Problem, load_report, place, unsatisfied};
use skyloom::{Catalogue, Error, Manifest};

use crate::Failure;
use crate::report::Alternative;

/// A decision with what surrounds it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) placement: Placement,
    /// `None` where nothing has a place.
    pub(crate) loads: Option<LoadReport>,
    /// Offers that were looked at.
    pub(crate) offers: usize,
    /// The same manifest on one cloud alone, cheapest first.
    pub(crate) alternatives: Vec<Alternative>,
}

impl Decided {
    /// The load of one of its machines.
    pub(crate) fn load_of(&self, machine: &Machine) -> Option<&MachineLoad> {
        self.loads
            .as_ref()?
            .machines
            .iter()
            .find(|load| load.machine == machine.id)
    }

    /// An error that names the first replica without a place, if there is one.
    pub(crate) fn require_complete(&self) -> Result<(), Error> {
        let left_out = unsatisfied(&self.placement);
        if left_out.is_empty() {
            Ok(())
        } else {
            Err(Error::Unsatisfied(left_out))
        }
    }
}

/// Decides on the built-in catalogue, with nothing running yet.
pub(crate) fn decide(manifest: &Manifest) -> Result<Decided, Failure> {
    let catalogue = Catalogue::builtin();
    check_places(manifest, &catalogue).map_err(Error::from)?;
    ServiceGraph::build(manifest).map_err(Error::from)?;
    let placement = cheapest(manifest, &catalogue)?;
    surround(manifest, &catalogue, placement)
}

/// Adds loads and alternatives to a placement.
pub(crate) fn surround(manifest: &Manifest, catalogue: &Catalogue, placement: Placement) -> Result<Decided, Failure> {
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    let problem = Problem {
        manifest,
        snapshot: &snapshot,
        catalogue,
    };
    let has_machines = !placement.machines.is_empty();
    let loads = has_machines
        .then(|| load_report(&problem, &placement, Mean::Arithmetic))
        .transpose()?;
    let mut alternatives: Vec<Alternative> = Vec::new();
    for cloud in catalogue.clouds() {
        let alone = catalogue.clone().retain(|offer| offer.key.region.cloud == *cloud);
        let (price, reason) = match cheapest(manifest, &alone) {
            Ok(placement) => match unsatisfied(&placement).first() {
                None => (Some(placement.cost.machines_per_hour.as_usd()), None),
                Some(left_out) => (None, Some(left_out.to_string())),
            },
            Err(error) => (None, Some(error.to_string())),
        };
        let offers = alone.offers().len();
        alternatives.push(Alternative {
            cloud: cloud.to_string(),
            offers,
            usd_per_hour: price,
            reason,
        });
    }
    alternatives.sort_by(|a, b| {
        let price = |alternative: &Alternative| alternative.usd_per_hour.unwrap_or(f64::INFINITY);
        price(a).total_cmp(&price(b)).then_with(|| a.cloud.cmp(&b.cloud))
    });
    Ok(Decided {
        placement,
        loads,
        offers: catalogue.offers().len(),
        alternatives,
    })
}

fn cheapest(manifest: &Manifest, catalogue: &Catalogue) -> Result<Placement, Error> {
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    let problem = Problem {
        manifest,
        snapshot: &snapshot,
        catalogue,
    };
    Ok(place(&problem, &Cheapest, &PlaceConfig::new())?)
}
