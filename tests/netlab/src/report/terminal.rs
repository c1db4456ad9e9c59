//! The table in the terminal.

use comfy_table::{Table, presets};

use super::{Section, cells::columns};

/// Every section as a table.
pub fn table(sections: &[Section]) -> String {
    sections.iter().map(section).collect::<Vec<_>>().join("\n\n")
}

fn section(section: &Section) -> String {
    let columns = columns(&section.rows);
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(std::iter::once("").chain(columns.iter().map(|(title, _)| *title)));
    for row in &section.rows {
        table.add_row(std::iter::once(row.peer.clone()).chain(columns.iter().map(|(_, cell)| cell(row))));
    }
    let errors = section.rows.iter().filter_map(|row| Some(format!("\n{}: {}", row.peer, row.error()?)));
    format!("{} on {}\n{table}{}", section.job, section.path, errors.collect::<String>())
}
