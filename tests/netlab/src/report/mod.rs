//! What came out, for people: a table in the terminal, one in Markdown, a plot.

mod cells;
mod markdown;
mod plot;
mod summary;
mod terminal;

pub use cells::line;
pub use markdown::markdown;
pub use plot::plot;
pub use summary::{Row, Section, summarise};
pub use terminal::table;
