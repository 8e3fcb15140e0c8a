//! First answers in milliseconds: several greedy rules, the best of them kept, and local search on it.
//!
//! Everything counts copies by class and never looks at single copies, so cost grows with classes times shapes. No
//! rule wins everywhere, which is why there are several. Bounds and column generation are `solve`'s.

mod fill;
mod first;
mod first_fit;
mod local;
mod prices;
mod room;
mod stock;

pub(crate) use first::first;
pub(crate) use local::polish;
pub(crate) use prices::dimension_prices;
pub(crate) use stock::Stock;
