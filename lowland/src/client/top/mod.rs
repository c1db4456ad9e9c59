//! What `lowland top` shows: events in, a view out (pure), and the view drawn.

pub mod draw;
pub mod figures;
pub mod model;
pub mod pace;
pub mod text;
pub mod view;

#[cfg(test)]
mod tests;

pub use model::Model;
pub use view::View;
