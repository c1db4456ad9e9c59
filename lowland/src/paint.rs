//! Colour, on terminals only, and never with `NO_COLOR` set.

use std::io::IsTerminal;

/// Whether to colour what goes to standard output.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// Looks at standard output.
    pub fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self(wanted && std::io::stdout().is_terminal())
    }

    /// Good news.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Bad news.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What wants a look.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What matters most.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
