//! The table in Markdown, for the project's documents.

use super::{Section, cells::columns};
use crate::path::named;

/// Every section under a heading.
pub fn markdown(sections: &[Section]) -> String {
    sections.iter().map(section).collect::<Vec<_>>().join("\n")
}

fn section(section: &Section) -> String {
    let columns = columns(&section.rows);
    let described = named(&section.path).map(|text| format!("`{text}`\n\n")).unwrap_or_default();
    let mut text = format!("### {} on {}\n\n{described}", section.job, section.path);
    let titles = columns.iter().map(|(title, _)| (*title).to_owned());
    text.push_str(&line(std::iter::once(String::new()).chain(titles)));
    text.push_str(&line((0..=columns.len()).map(|_| "---".to_owned())));
    for row in &section.rows {
        let cells = columns.iter().map(|(_, cell)| cell(row));
        text.push_str(&line(std::iter::once(row.peer.clone()).chain(cells)));
    }
    for row in &section.rows {
        if let Some(error) = row.error() {
            text.push_str(&format!("\n{}: {error}\n", row.peer));
        }
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
