//! Rebuilding what services know from the log alone: the very states and folds that they use, so that the result is theirs,
//! bit for bit.

pub mod check;
pub mod fold;
pub mod json;
pub mod rebuild;
pub mod summary;

pub use fold::{Rebuilt, Service};
