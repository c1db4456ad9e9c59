//! Events as they come, from every stream that a pattern selects: what `lowland watch` prints and `lowland top` shows.

pub mod lanes;
pub mod line;
pub mod pattern;

pub use lanes::{From, Lanes};
pub use pattern::{Selection, select};
