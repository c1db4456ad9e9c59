//! How a job's tokens get onto the bus: a state machine that is told what the log answered and says what to ask next.
//!
//! No clock, no log, no task: [`Publication::next_step`] gives a [`Step`], whoever drives it performs the step and hands the
//! [`Answer`] to [`Publication::take`]. What keeps readers' text coherent:
//!
//! - Every append expects the job's last token sequence, so of two attempts only one can go on.
//! - A later attempt reads what is there and *seals* it with a first record of its own, which tells that text once more
//!   (readers skip what they have shown; one that comes later needs no older record). From then on appends of earlier
//!   attempts conflict, and their workers learn that they are fenced.
//! - When the bus lost the stream (a server that keeps it in memory restarted), the text is published anew from its
//!   beginning, but only if the log of decisions still gives the job to this attempt: a worker that was written off must
//!   not tell its own version of a text that another one has taken over.
//! - An append without an answer is repeated as it was, under the same id, before anything else is appended, and again
//!   only if the job is still this attempt's.
//!
//! What no guard can mend: a text whose only worker dies together with the stream, and a worker that freezes between
//! asking whether the job is its own and appending, for longer than its lease, while the stream is lost. Then the text
//! is coherent because an equal seed draws equal tokens.

mod text;
mod transcript;

use lowland_events::{
    meter::{Meter, Usage},
    token::Published,
};

pub use text::{Mark, Piece, Text};
pub use transcript::{Prompt, Transcript};

/// Most bytes of a record, roughly: half of the smallest payload that servers usually allow (1 MiB). Only a text that is
/// published anew, or one with many log probabilities, comes near.
const RECORD_BYTES_MAX: usize = 512 << 10;

/// What to ask the log next. The same step comes again until it is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Read all of the job's token records.
    Gather,
    /// Append a record.
    Append {
        /// Number of the record among those of this attempt, from 0: its id derives from it.
        ordinal: u32,
        /// Sequence that the job's last token record must have.
        after: u64,
        /// The record.
        record: Published,
    },
    /// Read the job's last token record, and compare its id with that of record `ordinal`.
    ReadLast {
        /// The record whose append conflicted.
        ordinal: u32,
    },
    /// Ask the log of decisions whether the job is still this attempt's.
    Confirm,
}

/// What the log answered to a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Step::Gather`].
    Gathered(Transcript),
    /// To [`Step::Append`]: it is stored (now or by an earlier try), with this sequence.
    Stored(u64),
    /// To [`Step::Append`]: the job's last record is another one than expected.
    Conflict,
    /// To [`Step::ReadLast`].
    Last(Option<Last>),
    /// To [`Step::Confirm`]: whether it is.
    Standing(bool),
    /// To any step: not known. It is to be repeated.
    Unanswered,
}

/// The job's last token record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// Its sequence.
    pub sequence: u64,
    /// Who wrote it.
    pub attempt: u32,
    /// Whether it is the record that was asked about.
    pub same: bool,
}

/// Publication of one attempt's tokens.
#[derive(Debug)]
pub struct Publication {
    attempt: u32,
    text: Text,
    prompt: Option<Prompt>,
    /// How far what is stored reaches.
    sent: Mark,
    /// Sequence of the job's last token record, as far as known.
    tip: u64,
    /// Whether earlier attempts' text is taken over; from then on only this attempt's own counts.
    opened: bool,
    /// Whether a record is due even if it is empty: it seals what earlier attempts wrote.
    seal_due: bool,
    ordinals: u32,
    delivered: Usage,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Gathering,
    Idle,
    Appending(Flight),
    /// The append was not answered, and perhaps because another server is there now: is it still ours to make?
    Doubting(Flight),
    /// The append conflicted: with what?
    Reading(Flight),
    /// With nothing: the stream is a new one. Is the text still ours to tell?
    Confirming,
    Fenced,
}

/// A record under way.
#[derive(Debug, Clone)]
struct Flight {
    ordinal: u32,
    after: u64,
    reach: Mark,
    record: Published,
}

impl Publication {
    /// Publication of attempt `attempt`, from 1. The first has nothing to take over.
    #[must_use]
    pub fn new(attempt: u32) -> Self {
        Self {
            attempt,
            text: Text::default(),
            prompt: None,
            sent: Mark::default(),
            tip: 0,
            opened: attempt == 1,
            seal_due: attempt > 1,
            ordinals: 0,
            delivered: Usage::default(),
            stage: if attempt > 1 { Stage::Gathering } else { Stage::Idle },
        }
    }

    /// Whether this attempt may go on from [`Self::text`]: what was there is sealed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opened && !self.is_fenced()
    }

    /// Whether another attempt has taken over: nothing more is to be published, nor computed.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self.stage, Stage::Fenced)
    }

    /// Whether all of the text is stored, or never will be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.stage {
            Stage::Idle => !self.is_due(),
            Stage::Fenced => true,
            _ => false,
        }
    }

    /// Whether a step is under way whose answer is not known: what is stored is not certain.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        !matches!(self.stage, Stage::Idle | Stage::Fenced)
    }

    /// The job's output so far, over all attempts.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// What the engine says the prompt took; an earlier attempt's figures stand.
    pub fn read_prompt(&mut self, prompt: Prompt) {
        self.prompt.get_or_insert(prompt);
    }

    /// The engine wrote more.
    pub fn push(&mut self, piece: Piece) {
        self.text.push(piece);
    }

    /// What the job has used, if all of its text is delivered.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage_at(self.text.end())
    }

    /// What the job has used according to the last record that is stored: what counts when the rest never comes.
    #[must_use]
    pub fn delivered(&self) -> &Usage {
        &self.delivered
    }

    /// What to ask the log now; nothing, if there is nothing to publish.
    pub fn next_step(&mut self) -> Option<Step> {
        if matches!(self.stage, Stage::Idle) && self.is_due() {
            self.stage = Stage::Appending(self.flight());
        }
        match &self.stage {
            Stage::Gathering => Some(Step::Gather),
            Stage::Appending(Flight { ordinal, after, record, .. }) => {
                Some(Step::Append { ordinal: *ordinal, after: *after, record: record.clone() })
            }
            Stage::Reading(flight) => Some(Step::ReadLast { ordinal: flight.ordinal }),
            Stage::Doubting(_) | Stage::Confirming => Some(Step::Confirm),
            Stage::Idle | Stage::Fenced => None,
        }
    }

    /// Takes the answer to the step that [`Self::next_step`] gave last.
    pub fn take(&mut self, answer: Answer) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        self.stage = match (stage, answer) {
            (Stage::Appending(flight), Answer::Unanswered) => Stage::Doubting(flight),
            (stage, Answer::Unanswered) => stage,
            (Stage::Gathering, Answer::Gathered(transcript)) => self.go_on_from(transcript),
            (Stage::Appending(flight), Answer::Stored(sequence)) => self.stored(&flight, sequence),
            (Stage::Appending(_), Answer::Conflict) if !self.opened => Stage::Gathering,
            (Stage::Appending(flight), Answer::Conflict) => Stage::Reading(flight),
            (Stage::Reading(_), Answer::Last(None)) => Stage::Confirming,
            (Stage::Reading(flight), Answer::Last(Some(last))) => self.conflicted(&flight, last),
            (Stage::Doubting(flight), Answer::Standing(true)) => Stage::Appending(flight),
            (Stage::Confirming, Answer::Standing(true)) => self.publish_anew(0),
            (Stage::Doubting(_) | Stage::Confirming, Answer::Standing(false)) => Stage::Fenced,
            (stage, answer) => unreachable!("{answer:?} answers no step of {stage:?}"),
        };
    }

    fn is_due(&self) -> bool {
        self.seal_due || self.sent != self.text.end()
    }

    fn go_on_from(&mut self, transcript: Transcript) -> Stage {
        if transcript.attempt > self.attempt {
            return Stage::Fenced;
        }
        let tip = transcript.tip;
        self.prompt = self.prompt.or(transcript.prompt);
        if transcript.delivered.output_tokens() >= self.delivered.output_tokens() {
            self.delivered = transcript.delivered.clone();
        }
        let text = transcript.into_text();
        // It is shorter only if the stream was lost since it was read before.
        if text.end() > self.text.end() {
            self.text = text;
        }
        self.publish_anew(tip)
    }

    fn flight(&mut self) -> Flight {
        let reach = self.text.reach(self.sent, RECORD_BYTES_MAX);
        let Piece { tokens, text, logprobs } = self.text.between(self.sent, reach);
        let first = u32::try_from(self.sent.tokens).expect("contexts are shorter than 2^32 tokens");
        let usage = self.usage_at(reach);
        let record = Published { attempt: self.attempt, first, tokens, text, logprobs, usage };
        let ordinal = self.ordinals;
        self.ordinals += 1;
        Flight { ordinal, after: self.tip, reach, record }
    }

    fn stored(&mut self, flight: &Flight, sequence: u64) -> Stage {
        self.tip = sequence;
        self.sent = flight.reach;
        self.opened = true;
        self.seal_due = false;
        // Text published anew in several records was delivered whole once before.
        if flight.record.usage.output_tokens() >= self.delivered.output_tokens() {
            self.delivered = flight.record.usage.clone();
        }
        Stage::Idle
    }

    fn conflicted(&mut self, flight: &Flight, last: Last) -> Stage {
        if last.same {
            self.stored(flight, last.sequence)
        } else if last.attempt > self.attempt {
            Stage::Fenced
        } else {
            self.publish_anew(last.sequence)
        }
    }

    /// Tells the text from the beginning: to seal it, or since the stream is not the one that it was published on.
    fn publish_anew(&mut self, tip: u64) -> Stage {
        self.tip = tip;
        self.sent = Mark::default();
        self.seal_due = self.attempt > 1;
        Stage::Idle
    }

    fn usage_at(&self, mark: Mark) -> Usage {
        let prompt = self.prompt.unwrap_or_default();
        Usage::of([
            (Meter::InputTokens, prompt.input),
            (Meter::CachedTokens, prompt.cached),
            (Meter::OutputTokens, mark.tokens as u64),
        ])
    }
}

#[cfg(test)]
mod tests;
