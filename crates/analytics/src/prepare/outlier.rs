//! The Hampel filter: outliers are pulled back to the border of what their neighbourhood explains.
//!
//! Source: Hampel, Journal of the American Statistical Association 69 (1974); clipping to the border instead of the
//! median is ours: a value that was truly high stays high.

use super::pipeline::StepReport;
use super::step::Hampel;
use crate::num::{MAD_TO_SD, median, saturate};

/// Clips the values; each is judged by the values as they came, not by clipped ones.
pub(crate) fn clip(values: &[f64], settings: Hampel, report: &mut StepReport) -> Vec<f64> {
    let mut window = Vec::with_capacity(2 * settings.half_window + 1);
    let mut clipped = Vec::with_capacity(values.len());
    for (i, &value) in values.iter().enumerate() {
        let around = i.saturating_sub(settings.half_window)..(i + settings.half_window + 1).min(values.len());
        window.clear();
        window.extend_from_slice(&values[around]);
        let middle = median(&mut window);
        for w in &mut window {
            *w = saturate((*w - middle).abs());
        }
        let reach = saturate(settings.threshold * MAD_TO_SD * median(&mut window));
        let kept = if reach > 0.0 {
            value.clamp(saturate(middle - reach), saturate(middle + reach))
        } else {
            value
        };
        report.changed += usize::from(kept.to_bits() != value.to_bits());
        clipped.push(kept);
    }
    clipped
}
