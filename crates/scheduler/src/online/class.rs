//! A class of pods in dense numbers: what it takes, and which profiles of nodes it may be on at all.

use skyloom_core::Milligpus;

use super::filter::{Filter, standing_filter};
use super::nodes::Nodes;
use super::policy::Ask;
use super::room::DEVICE;
use super::rules::ClassRules;
use super::{OnlineError, PodSpec};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub(super) spec: PodSpec,
    pub(super) cpu: u64,
    pub(super) memory: u64,
    pub(super) disk: u64,
    /// Thousandths of one device; 0: no share.
    pub(super) share: u16,
    /// Whole devices.
    pub(super) whole: u16,
    /// Further resources: place in the nodes' list, and amount.
    pub(super) extra: Vec<(usize, u64)>,
    /// What keeps it off each profile of nodes whatever is free there.
    pub(super) barred: Vec<Option<Filter>>,
    /// Rules about other pods.
    pub(super) rules: ClassRules,
    /// Place of its tenant among the quotas.
    pub(super) quota: Option<usize>,
}

impl Class {
    /// # Errors
    /// [`OnlineError::GpuNotWhole`].
    pub(super) fn new(spec: &PodSpec, nodes: &Nodes) -> Result<Self, OnlineError> {
        let (share, whole) = device_ask(spec.request.gpu)?;
        let known = |name: &String| nodes.extra_names.binary_search(name).ok();
        let asked = spec.extra.iter().filter(|(_, amount)| **amount > 0);
        let extra = asked
            .filter_map(|(name, amount)| Some((known(name)?, *amount)))
            .collect();
        let barred = nodes
            .profiles
            .iter()
            .map(|profile| standing_filter(spec, &nodes.specs[profile.first]))
            .collect();
        Ok(Self {
            spec: spec.clone(),
            cpu: spec.request.cpu.as_millicores(),
            memory: spec.request.memory.as_bytes(),
            disk: spec.request.disk.as_bytes(),
            share,
            whole,
            extra,
            barred,
            rules: ClassRules::default(),
            quota: None,
        })
    }

    /// As policies see it.
    #[inline]
    pub(super) const fn ask(&self) -> Ask {
        Ask {
            cpu: self.cpu,
            memory: self.memory,
            share: self.share,
            whole: self.whole,
        }
    }

    /// Thousandths that it takes from each of its devices.
    #[inline]
    pub(super) const fn per_device(&self) -> u16 {
        if self.whole > 0 { DEVICE } else { self.share }
    }

    /// Thousandths of GPU that it takes in all.
    #[inline]
    pub(super) fn gpu_milli(&self) -> u32 {
        u32::from(self.share) + u32::from(self.whole) * u32::from(DEVICE)
    }
}

/// A share of a device, or a number of whole ones. A number beyond any node stays beyond any node.
///
/// # Errors
/// [`OnlineError::GpuNotWhole`].
pub(super) fn device_ask(gpu: Milligpus) -> Result<(u16, u16), OnlineError> {
    let milligpus = gpu.as_milligpus();
    let whole = milligpus / u64::from(DEVICE);
    match u16::try_from(milligpus) {
        Ok(share) if share < DEVICE => Ok((share, 0)),
        _ if milligpus.is_multiple_of(u64::from(DEVICE)) => Ok((0, u16::try_from(whole).unwrap_or(u16::MAX))),
        _ => Err(OnlineError::GpuNotWhole { milligpus }),
    }
}
