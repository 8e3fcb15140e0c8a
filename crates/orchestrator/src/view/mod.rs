//! Plans and service graphs as pictures: Mermaid text, and SVG with a layout of our own.
//!
//! A layout library is not taken: the ones that are well kept bring a parser or a browser's worth of dependencies, and
//! none promises equal bytes. As text a plan prints itself; as data it is serde's.

mod layers;
mod layout;
mod look;
mod mermaid;
mod plan_svg;
mod service_svg;
mod svg;

pub use mermaid::render_mermaid;
pub use plan_svg::{SvgConfig, render_svg};
