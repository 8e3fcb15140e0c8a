//! What is left of one machine while it is filled.

use crate::fleet::folded::{Class, Shape};
use crate::fleet::problem::{Amounts, DEVICE_MILLI, Devices};

/// What is left of one machine. Shares go to the device with the least room that suffices.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    left: Amounts,
    dimensions: usize,
    /// Devices that nobody uses.
    whole: u32,
    /// Thousandths left of devices that are partly used, rising.
    parts: Vec<u32>,
}

impl Room {
    pub(crate) fn of(shape: &Shape, dimensions: usize) -> Self {
        Self {
            left: shape.capacity,
            dimensions,
            whole: shape.devices,
            parts: Vec::new(),
        }
    }

    /// How many copies fit, at most `most`.
    pub(crate) fn copies(&self, class: &Class, most: u64) -> u64 {
        let need = &class.need.0[..self.dimensions];
        if need.iter().zip(&self.left.0).any(|(need, left)| need > left) {
            return 0;
        }
        let devices = match class.devices {
            Devices::None => most,
            Devices::Whole(each) => u64::from(self.whole / each),
            Devices::Share(milli) => {
                let parts: u64 = self.parts.iter().map(|left| u64::from(left / milli)).sum();
                parts + u64::from(self.whole) * u64::from(DEVICE_MILLI / milli)
            }
        };
        let most = most.min(devices).min(u64::from(class.per_machine_max));
        if most <= 1 {
            return most;
        }
        let fit = |(need, left): (&u64, &u64)| left.checked_div(*need).unwrap_or(u64::MAX);
        need.iter().zip(&self.left.0).map(fit).fold(most, u64::min)
    }

    /// Takes so many copies, which must fit.
    pub(crate) fn take(&mut self, class: &Class, copies: u64) {
        for (left, need) in self.left.0.iter_mut().zip(&class.need.0).take(self.dimensions) {
            *left = left.saturating_sub(need.saturating_mul(copies));
        }
        let copies = u32::try_from(copies).unwrap_or(u32::MAX);
        match class.devices {
            Devices::None => {}
            Devices::Whole(each) => self.whole = self.whole.saturating_sub(each.saturating_mul(copies)),
            Devices::Share(milli) => self.take_shares(milli, copies),
        }
    }

    fn take_shares(&mut self, milli: u32, mut copies: u32) {
        while copies > 0 {
            let at = self.parts.partition_point(|left| *left < milli);
            let device = if at < self.parts.len() {
                self.parts.remove(at)
            } else {
                self.whole = self.whole.saturating_sub(1);
                DEVICE_MILLI
            };
            let here = (device / milli).clamp(1, copies);
            copies -= here;
            let left = device.saturating_sub(milli * here);
            if left > 0 {
                let at = self.parts.partition_point(|other| *other < left);
                self.parts.insert(at, left);
            }
        }
    }
}
