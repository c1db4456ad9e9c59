//! Reading values out of a TOML document while noting whatever is not right, with its place.

use std::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Something in a price book that is not right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// Path of the entry (`version[0].models.m.input_tokens`), empty for the file as a whole.
    pub entry: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.entry.is_empty() { "" } else { ": " };
        write!(f, "line {}: {}{colon}{}", self.line, self.entry, self.message)
    }
}

/// The text that is read, and what is wrong in it so far.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Notes that something at `span`, called `entry`, is not right.
    pub(super) fn problem(&mut self, span: &Range<usize>, entry: &str, message: impl Into<String>) {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.problems.push(Problem { line, entry: entry.to_owned(), message: message.into() });
    }

    /// What `table` says of `key`, which it has to.
    pub(super) fn wanted<'v, 'i>(
        &mut self,
        table: &'v DeTable<'i>,
        key: &str,
        span: &Range<usize>,
        entry: &str,
        example: &str,
    ) -> Option<&'v Spanned<DeValue<'i>>> {
        let value = table.get(key);
        if value.is_none() {
            self.problem(span, entry, format!("is missing; write {key} = {example}"));
        }
        value
    }

    /// A text that is not empty.
    pub(super) fn string(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        entry: &str,
        example: &str,
    ) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.problem(
                    &value.span(),
                    entry,
                    format!("a text in quotation marks is wanted, such as {example}"),
                );
                None
            }
        }
    }

    /// Notes every key that is not among `known`.
    pub(super) fn only_known(&mut self, table: &DeTable<'_>, entry: &str, known: &[&str]) {
        for name in table.keys().filter(|name| !known.contains(&name.get_ref().as_ref())) {
            let dot = if entry.is_empty() { "" } else { "." };
            let message = format!("is unknown; known are {}", known.join(", "));
            self.problem(&name.span(), &format!("{entry}{dot}{}", name.get_ref()), message);
        }
    }
}
