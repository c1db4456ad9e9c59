//! The story for people. Pure: colour only where the paint has some.

use comfy_table::{ContentArrangement, Table, presets};
use lowland_events::job::Verdict;

use super::{
    Story, Told,
    attempts::Attempt,
    money::{Bill, Sum},
};
use crate::{client::chain, paint::Paint};

impl Story {
    /// The story for people.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        let mut parts = vec![self.head(paint), self.chain(paint)];
        parts.extend(self.attempts.iter().map(|attempt| attempt.to_text(paint)));
        parts.push(match &self.money {
            Some(bill) => bill.to_text(paint),
            None => format!("{}\n  no money was moved for it\n", paint.bold("Money")),
        });
        if !self.settled {
            let open = if self.ended { "its money is not settled yet" } else { "it has not ended" };
            let so_far = format!("That is so far, as of LOG {}: {open}.", self.as_of);
            parts.push(format!("{}\n", paint.yellow(&so_far)));
        }
        parts.join("\n")
    }

    fn head(&self, paint: Paint) -> String {
        let what = if self.events.iter().any(|told| told.document.event_type.contains(".topup_posted.")) {
            "Top-up"
        } else {
            "Job"
        };
        let title = paint.bold(&format!("{what} {} of {}", self.job, self.account));
        let mut lines = vec![format!("{title}: {}", self.coloured_summary(paint))];
        let mut line = |label: &str, text: String| lines.push(format!("  {label:<8} {text}"));
        if let Some(model) = &self.model {
            line("model", model.clone());
        }
        if let Some(submitted) = self.data_of("submitted") {
            line("asked", asked(submitted));
        }
        if let Some(cost) = self.money.as_ref().and_then(|bill| bill.charged.as_ref()) {
            line("cost", cost.amount.to_units());
        }
        if let Some(tokens) = self.tokens_so_far.filter(|_| !self.ended) {
            line("so far", format!("{} written", chain::counted(tokens, "token")));
        }
        if let Some(took) = self.took() {
            line("took", took);
        }
        if let Some(trace) = &self.trace {
            line("trace", trace.clone());
        }
        lines.join("\n") + "\n"
    }

    fn coloured_summary(&self, paint: Paint) -> String {
        match self.standing.as_str() {
            "completed" | "topped_up" => paint.green(&self.summary),
            "failed" | "rejected" | "expired" => paint.red(&self.summary),
            _ => paint.yellow(&self.summary),
        }
    }

    fn data_of(&self, event: &str) -> Option<&serde_json::Value> {
        let name = format!(".{event}.");
        let told = self.events.iter().find(|told| told.document.event_type.contains(&name));
        told.filter(|told| told.document.known).map(|told| &told.document.data)
    }

    fn took(&self) -> Option<String> {
        let end = self.events.iter().filter(|told| told.is_end()).map(|told| told.after_ms).min()?;
        let began = self.events.iter().find(|told| told.document.event_type.contains(".job.started."));
        let began = began.map(|told| format!("; {} until a worker began", seconds(told.after_ms)));
        Some(format!("{} from first to last{}", seconds(end), began.unwrap_or_default()))
    }

    fn chain(&self, paint: Paint) -> String {
        let mut table = table(&["PLACE", "AFTER", "BY", "EVENT", "CAUSED BY", "WHAT"]);
        for told in &self.events {
            table.add_row(told.row());
        }
        format!(
            "{}\n{}\n",
            paint.bold("What happened (further in: several things followed from one)"),
            indented(&table)
        )
    }
}

impl Told {
    fn is_end(&self) -> bool {
        ["completed", "failed", "cancelled", "expired", "rejected", "topped_up"]
            .iter()
            .any(|name| self.document.event_type.contains(&format!(".{name}.")))
    }

    fn row(&self) -> Vec<String> {
        let document = &self.document;
        let mut words = document.event_type.split('.').skip(1);
        let event = format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let cause = self.caused_by.as_ref().map(|cause| format!("{} {}", cause.stream, cause.sequence));
        let what = match &self.unreadable {
            Some(why) => format!("its body cannot be read: {why}"),
            None => self.what.clone(),
        };
        vec![
            format!("{} {}", document.stream, document.sequence),
            format!("{} ms", self.after_ms),
            document.source.split('/').next().unwrap_or_default().to_owned(),
            format!("{}{event}", "\u{b7} ".repeat(self.depth)),
            cause.unwrap_or_else(|| "-".into()),
            what,
        ]
    }
}

impl Attempt {
    fn to_text(&self, paint: Paint) -> String {
        let positions = self.decided_on.iter().map(|at| format!("{} {}", at.stream, at.sequence));
        let positions = positions.collect::<Vec<_>>().join(", ");
        let title = format!("Attempt {}: {}", self.attempt, self.worker);
        let mut table =
            table(&["WORKER", "INSTANCE", "REGION", "FREE SLOTS", "ASK A MILLION", "VERDICT", "WHY"]);
        for considered in &self.considered {
            let candidate = &considered.candidate;
            table.add_row([
                candidate.worker.to_string(),
                candidate.instance.to_string(),
                candidate.region.to_string(),
                candidate.free_slots.to_string(),
                candidate.ask.to_units(),
                verdict(candidate.verdict).to_owned(),
                considered.why.clone(),
            ]);
        }
        let more = match self.considered_more {
            0 => String::new(),
            more => format!("  and {more} more, which the event does not list\n"),
        };
        format!(
            "{}\n  decided at LOG {} on what the scheduler knew as of {positions}; silence of {} ends it\n{}\n{more}  {}\n",
            paint.bold(&title),
            self.sequence,
            seconds(self.lease_ms),
            indented(&table),
            self.became(paint)
        )
    }

    fn became(&self, paint: Paint) -> String {
        let began = match (self.began_after_ms, self.resumed_tokens) {
            (Some(after), Some(0) | None) => format!("began after {after} ms"),
            (Some(after), Some(tokens)) => {
                format!("began after {after} ms, going on from {tokens} tokens of earlier attempts")
            }
            (None, _) => "did not begin".to_owned(),
        };
        match (self.outcome.as_deref(), &self.problem) {
            (None, _) => paint.yellow(&format!("{began}; under way")),
            (Some("completed"), _) => format!("{began}; {}", paint.green("completed")),
            (Some(_), Some(problem)) => {
                let again = if self.retry == Some(true) { "another attempt could succeed" } else { "final" };
                let code = self.code.as_deref().unwrap_or_default();
                format!("{began}; {}", paint.red(&format!("came to nothing: {problem} ({code}; {again})")))
            }
            (Some(outcome), None) => format!("{began}; {}", paint.red(outcome)),
        }
    }
}

impl Bill {
    fn to_text(&self, paint: Paint) -> String {
        let mut lines = vec![paint.bold("Money")];
        if let Some(added) = self.added {
            lines.push(format!("  added: {}", paint.bold(&added.to_units())));
        }
        if let Some(version) = &self.price_version {
            lines.push(format!("  price book {version}, whose prices the hold fixed for this job"));
        }
        if let Some(held) = &self.held {
            lines.push(format!(
                "  set aside, the most that it could cost: {}",
                paint.bold(&held.amount.to_units())
            ));
            lines.extend(held.to_lines(paint));
        }
        if let Some(charged) = &self.charged {
            let outcome = self.outcome.as_deref().unwrap_or_default();
            lines.push(format!(
                "  charged, what was delivered ({outcome}): {}",
                paint.bold(&charged.amount.to_units())
            ));
            lines.extend(charged.to_lines(paint));
        }
        if self.waived.0 > 0 {
            lines.push(format!(
                "  waived, since it went beyond what was set aside: {}",
                self.waived.to_units()
            ));
        }
        match self.released {
            Some(released) => lines.push(format!("  given back: {}", released.to_units())),
            None if self.open.0 > 0 => lines.push(format!("  still set aside: {}", self.open.to_units())),
            None => {}
        }
        lines.join("\n") + "\n"
    }
}

impl Sum {
    fn to_lines(&self, paint: Paint) -> Vec<String> {
        let mut table = table(&[]);
        for line in &self.lines {
            table.add_row([
                format!("{} x", chain::meter(line.meter, line.quantity)),
                format!("{} a million", line.rate.to_units()),
                format!("= {}", line.exact),
            ]);
        }
        let rounded = format!("sum {}, rounded up once to {}", self.exact, self.amount.to_units());
        let mut lines = vec![indented_by(&table, 4), format!("    {rounded}")];
        if !self.adds_up {
            lines.push(format!("    {}", paint.red("this does not add up to what was booked")));
        }
        lines
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Chosen => "chosen",
        Verdict::Eligible => "eligible",
        Verdict::RegionNotAllowed => "region not allowed",
        Verdict::NoFreeSlot => "no free slot",
        Verdict::Silent => "silent",
        Verdict::FailedBefore => "failed before",
    }
}

/// What was asked for, out of the body of `submitted`.
fn asked(submitted: &serde_json::Value) -> String {
    let task = &submitted["task"];
    let mut parts = vec![match task["kind"].as_str() {
        Some("chat") => {
            let messages = task["messages"].as_array().map_or(0, Vec::len);
            format!("a conversation of {}", chain::counted(messages, "message"))
        }
        Some("completion") => "a text to continue".to_owned(),
        Some("embedding") => {
            format!("vectors of {}", chain::counted(task["input"].as_array().map_or(0, Vec::len), "text"))
        }
        _ => "a task".to_owned(),
    }];
    let sampling = &submitted["sampling"];
    if let Some(most) = sampling["max_tokens"].as_u64() {
        parts.push(format!("at most {most} tokens"));
    }
    if let Some(temperature) = sampling["temperature"].as_f64() {
        parts.push(format!("temperature {}", (temperature * 1000.0).round() / 1000.0));
    }
    if let Some(seed) = sampling["seed"].as_u64() {
        parts.push(format!("seed {seed}"));
    }
    let regions: Vec<&str> =
        submitted["regions"].as_array().into_iter().flatten().filter_map(|region| region.as_str()).collect();
    parts.push(if regions.is_empty() { "anywhere".into() } else { format!("in {}", regions.join(" or ")) });
    parts.join(", ")
}

fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{:02} s", ms / 1000, ms % 1000 / 10) }
}

/// A table without lines that keeps to the terminal's width, where there is a terminal.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.iter().copied());
    }
    table
}

fn indented(table: &Table) -> String {
    indented_by(table, 1)
}

fn indented_by(table: &Table, spaces: usize) -> String {
    let lines: Vec<String> =
        table.lines().map(|line| format!("{}{}", " ".repeat(spaces), line.trim_end())).collect();
    lines.join("\n")
}
