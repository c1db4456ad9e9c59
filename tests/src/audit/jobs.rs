//! One job's life as the log tells it, held to what may follow what.

use lowland_events::{
    Stored, Time,
    job::{Event, ProblemCode, Submitted},
    meter::{Meter, Usage},
};

use super::Key;

/// What is known of a job.
#[derive(Debug, Default)]
pub struct Job {
    /// The names of its events, in order.
    pub names: Vec<String>,
    /// What was accepted; nothing, if it was rejected at once.
    pub submitted: Option<Submitted>,
    /// When that was decided.
    pub submitted_at: Time,
    /// Assignments so far.
    pub attempts: u32,
    /// Attempts that came to nothing.
    pub lost: u32,
    /// Most tokens that an attempt found written when it took over.
    pub resumed_tokens: u32,
    /// Whether an attempt is under way.
    live: bool,
    /// The last attempt that has begun.
    begun: u32,
    /// Its end.
    pub end: Option<End>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The event's name.
    pub name: String,
    /// What was delivered.
    pub usage: Usage,
    /// The whole text, if it was completed.
    pub text: String,
    /// Why, if it was rejected or failed.
    pub problem: Option<ProblemCode>,
}

impl Job {
    pub(super) fn take(&mut self, key: &Key, event: &Stored, body: &Event) {
        let name = event.event.name();
        self.names.push(name.to_owned());
        let all = &self.names;
        assert!(self.end.is_none(), "{key:?} goes on after its end: {all:?}");
        match body {
            Event::Submitted(body) => {
                assert_eq!(all.len(), 1, "{key:?} is submitted once, and first: {all:?}");
                self.submitted = Some(body.clone());
                self.submitted_at = event.meta.time;
            }
            Event::Assigned(body) => {
                assert!(!self.live, "{key:?} is assigned: {all:?}");
                assert_eq!(body.attempt, self.attempts + 1, "{key:?} counts its attempts: {all:?}");
                assert_eq!(
                    Some(&body.job),
                    self.submitted.as_ref(),
                    "{key:?} is assigned as it was submitted"
                );
                (self.attempts, self.live) = (body.attempt, true);
            }
            Event::Started(body) => {
                self.fenced(key, body.attempt);
                assert!(self.begun < body.attempt, "{key:?}: attempt {} begins twice: {all:?}", body.attempt);
                self.begun = body.attempt;
                self.resumed_tokens = self.resumed_tokens.max(body.resumed_tokens);
            }
            Event::AttemptFailed(body) => {
                self.fenced(key, body.attempt);
                (self.live, self.lost) = (false, self.lost + 1);
            }
            Event::CancelRequested(body) => self.fenced(key, body.attempt),
            ending => self.ends(key, name, ending),
        }
    }

    /// Only the attempt that is under way may say anything.
    fn fenced(&self, key: &Key, attempt: u32) {
        assert!(self.live && attempt == self.attempts, "{key:?}: attempt {attempt} speaks: {:?}", self.names);
    }

    fn ends(&mut self, key: &Key, name: &str, body: &Event) {
        let (usage, text, problem) = match body {
            Event::Completed(body) => {
                self.fenced(key, body.attempt);
                let written = body.output.tokens.len() as u64;
                assert_eq!(body.usage.quantity(Meter::OutputTokens), written, "{key:?} counts what it wrote");
                (body.usage.clone(), body.output.text.clone(), None)
            }
            Event::Failed(body) => (body.usage.clone(), String::new(), Some(body.problem.code)),
            Event::Cancelled(body) => (body.usage.clone(), String::new(), None),
            Event::Expired(body) => (body.usage.clone(), String::new(), None),
            Event::Rejected(body) => {
                // What only a tokenizer finds wrong is found by an attempt.
                assert!(self.lost == self.attempts, "{key:?} is rejected while it runs: {:?}", self.names);
                (Usage::default(), String::new(), Some(body.problem.code))
            }
            other => panic!("{key:?}: {other:?} is no end"),
        };
        self.within_bounds(key, &usage);
        self.end = Some(End { name: name.to_owned(), usage, text, problem });
    }

    /// What is delivered never goes beyond what the hold covers.
    fn within_bounds(&self, key: &Key, usage: &Usage) {
        let Some(submitted) = &self.submitted else { return };
        let (most, used) = (&submitted.bounds, usage);
        let fits =
            used.output_tokens() <= most.output_tokens() && used.prompt_tokens() <= most.prompt_tokens();
        assert!(fits, "{key:?} used {used:?} of at most {most:?}");
    }
}
