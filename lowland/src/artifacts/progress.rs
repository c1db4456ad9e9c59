//! How long work shows itself: a bar on a terminal, a line at start and end where there is none, nothing for machines.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bars on a terminal, lines elsewhere; always to standard error.
    Shown,
    /// Nowhere.
    Silent,
}

/// One task under way.
pub struct Task {
    bar: Option<ProgressBar>,
    lines: bool,
    title: String,
}

impl Progress {
    /// Begins a task of `bytes` bytes (0: unknown).
    pub fn begin(self, title: &str, bytes: u64) -> Task {
        let terminal = std::io::stderr().is_terminal();
        let bar = (self == Self::Shown && terminal).then(|| new_bar(title, bytes));
        let lines = self == Self::Shown && !terminal;
        if lines {
            eprintln!("{title} ...");
        }
        Task { bar, lines, title: title.to_owned() }
    }

    /// Says something between tasks.
    pub fn say(self, text: &str) {
        if self == Self::Shown {
            eprintln!("{text}");
        }
    }
}

fn new_bar(title: &str, bytes: u64) -> ProgressBar {
    let template = if bytes == 0 {
        "{spinner} {msg} {elapsed}"
    } else {
        "{spinner} {msg:<42} [{bar:24}] {bytes:>10}/{total_bytes:<10} {binary_bytes_per_sec} {eta}"
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    let bar = if bytes == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(bytes) };
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(title.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

impl Task {
    /// So many bytes are done.
    pub fn at(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// The task goes on with something else.
    pub fn now(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// It is done, with `outcome` to say.
    pub fn done(self, outcome: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
            eprintln!("{}: {outcome}", self.title);
        } else if self.lines {
            eprintln!("{}: {outcome}", self.title);
        }
    }
}
