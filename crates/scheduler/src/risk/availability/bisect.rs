//! The least number that is enough, where more is never worse.

/// The least number in `low..=high` for which `enough` holds; `None` when it does not even for `high`.
pub(super) fn least(low: u32, high: u32, enough: impl Fn(u32) -> bool) -> Option<u32> {
    if low > high || !enough(high) {
        return None;
    }
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = u32::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}
