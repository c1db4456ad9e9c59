//! The view as text and as cells of tables. Pure.

use comfy_table::{Table, presets};
use lowland_events::Money;

use super::view::{AccountRow, Health, Latency, ModelRow, Percentiles, ProcessRow, Totals, View};

/// Events that a frame of text ends with.
const EVENTS_SHOWN: usize = 10;

/// Heads of the table of models; its times are medians and 99th percentiles.
pub const MODELS: [&str; 8] = ["MODEL", "SLOTS", "RUN", "WAIT", "TOKENS", "FIRST", "NEXT", "JOB"];
/// Heads of the table of processes.
pub const PROCESSES: [&str; 7] = ["SERVICE", "PROCESS", "HEALTH", "UP", "HEARD", "RUN", "TOKENS/S"];
/// Heads of the table of accounts.
pub const ACCOUNTS: [&str; 5] = ["ACCOUNT", "SPENT", "SET ASIDE", "TO SPEND", "CHARGES"];
/// Heads of the table of events.
pub const EVENTS: [&str; 4] = ["AT", "EVENT", "ABOUT", "WHAT"];

impl View {
    /// One frame of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let events: Vec<_> = self.event_cells().into_iter().rev().take(EVENTS_SHOWN).collect();
        [
            format!("lowland at {}", self.at),
            self.totals.line(),
            self.totals.latency.line(),
            String::new(),
            table(&MODELS, self.models.iter().map(ModelRow::cells)),
            String::new(),
            table(&PROCESSES, self.processes.iter().map(ProcessRow::cells)),
            String::new(),
            table(&ACCOUNTS, self.accounts.iter().map(AccountRow::cells)),
            String::new(),
            table(&EVENTS, events.into_iter().rev()),
        ]
        .join("\n")
    }

    /// The cells of the table of events, newest last.
    pub fn event_cells(&self) -> Vec<Vec<String>> {
        let cells = self.events.iter().map(|event| {
            let time = event.at.split('T').nth(1).unwrap_or(&event.at);
            let time = time.get(..8).unwrap_or(time);
            vec![time.to_owned(), event.event.clone(), event.about.clone(), event.what.clone()]
        });
        cells.collect()
    }
}

impl Totals {
    /// What happens, in a line.
    pub fn line(&self) -> String {
        format!(
            "jobs {:.1}/s   tokens {:.1}/s   prompt tokens {:.1}/s   running {}   waiting {}",
            self.jobs_a_second, self.tokens_a_second, self.prompt_tokens_a_second, self.running, self.waiting
        )
    }
}

impl Latency {
    /// The times, in a line.
    pub fn line(&self) -> String {
        let [first, next, job] = self.cells();
        format!("p50/p99: first token {first}   next token {next}   whole job {job}")
    }

    fn cells(&self) -> [String; 3] {
        [self.first_token, self.inter_token, self.end_to_end].map(pair)
    }
}

impl ModelRow {
    /// Its cells.
    pub fn cells(&self) -> Vec<String> {
        let numbers = [
            self.slots.to_string(),
            self.running.to_string(),
            self.waiting.to_string(),
            self.tokens.to_string(),
        ];
        std::iter::once(self.model.clone()).chain(numbers).chain(self.latency.cells()).collect()
    }
}

impl ProcessRow {
    /// Its cells.
    pub fn cells(&self) -> Vec<String> {
        vec![
            self.service.clone(),
            self.instance.clone(),
            self.health.word().to_owned(),
            age(self.uptime_ms),
            format!("{} ago", millis(self.heard_ms_ago as f64)),
            self.running.to_string(),
            format!("{:.1}", self.tokens_a_second),
        ]
    }
}

impl Health {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::NotReady => "not ready",
            Self::Ready => "ready",
            Self::Heard => "heard",
        }
    }
}

impl AccountRow {
    /// Its cells.
    pub fn cells(&self) -> Vec<String> {
        let amounts = [self.spent, self.set_aside, self.available].map(Money::to_units);
        std::iter::once(self.account.clone()).chain(amounts).chain([self.charges.to_string()]).collect()
    }
}

fn pair(percentiles: Option<Percentiles>) -> String {
    percentiles.map_or_else(|| "-".into(), |p| format!("{}/{}", millis(p.p50_ms), millis(p.p99_ms)))
}

/// A time in the unit that keeps it short.
fn millis(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1}ms")
    } else if ms < 1000.0 {
        format!("{ms:.0}ms")
    } else if ms < 60_000.0 {
        format!("{:.1}s", ms / 1000.0)
    } else {
        age(ms as u64)
    }
}

fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}
