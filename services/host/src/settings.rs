//! Settings, read once at start from environment variables, every bad value reported together.
//!
//! The `lowland` command sets them for the services that it starts and offers each as a flag.

use std::{fmt::Display, str::FromStr};

use crate::Error;

/// Where settings come from: a value by name.
type Lookup = Box<dyn Fn(&str) -> Option<String> + Send>;

/// Reads settings and gathers what is wrong with them.
pub struct Settings {
    lookup: Lookup,
    problems: Vec<String>,
}

impl Settings {
    /// Settings from this process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Settings from anywhere.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        Self { lookup: Box::new(lookup), problems: Vec::new() }
    }

    /// The setting `name`, if it is there and not empty.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = (self.lookup)(name).filter(|text| !text.is_empty())?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(format!("{name}={text:?}: {error}"));
                None
            }
        }
    }

    /// The setting `name`, or `default`.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    /// The setting `name`, which must be there: `purpose` says what for. Gives a default meanwhile; [`Self::finish`]
    /// fails.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str, purpose: &str) -> Option<T> {
        let before = self.problems.len();
        let value = self.optional(name);
        if value.is_none() && self.problems.len() == before {
            self.problem(format!("{name} is not set: {purpose}"));
        }
        value
    }

    /// Notes a problem that a service found by itself.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Fails with all problems, if there are any.
    pub fn finish(self) -> Result<(), Error> {
        if self.problems.is_empty() { Ok(()) } else { Err(Error::Settings(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_together() {
        let mut settings = Settings::from_lookup(|name| match name {
            "SLOTS" => Some("many".into()),
            "NAME" => Some("x".into()),
            _ => None,
        });
        assert_eq!(settings.or("SLOTS", 4_u32), 4);
        assert_eq!(settings.required::<String>("NAME", "who it is"), Some("x".into()));
        assert_eq!(settings.required::<u16>("PORT", "where to listen"), None);
        let message = settings.finish().unwrap_err().to_string();
        assert!(message.contains("SLOTS=\"many\"") && message.contains("PORT is not set: where to listen"));
    }
}
