//! What a plain reader of the token stream sees, record by record, by the rule that every reader follows: a text that only
//! ever grows, each token at its place once, and in the end the text that the job completed with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use lowland_events::{
    Domain, Event, Filter, Stored, job,
    log::{Error, Log as _, Start},
    stream, token,
};
use lowland_worker::publication::Transcript;

use crate::{
    store::BEGAN,
    world::{AWAY_MS_MAX, World},
};

/// Time after the last fault in which a worker may still wait for an answer, in milliseconds.
const ECHO_MS: u64 = 2500;
/// The same where workers stand still or are cut off, in milliseconds.
const AWAY_ECHO_MS: u64 = AWAY_MS_MAX + 1000;

type Key = (String, String);

/// What was read of each job.
#[derive(Default)]
pub(crate) struct Texts(Mutex<BTreeMap<Key, Text>>);

#[derive(Default)]
struct Text {
    transcript: Transcript,
    shown: String,
    shown_tokens: Vec<u32>,
}

impl Texts {
    /// Reads along from the beginning, on the log itself.
    pub(crate) fn read_along(world: &World) -> Arc<Self> {
        let texts = Arc::new(Self::default());
        let (world, this) = (world.clone(), texts.clone());
        tokio::spawn(async move {
            let filters = [Filter::domain(Domain::Token)];
            let opened = world.store.memory.follow(stream::TOKENS, &filters, Start::At(1)).await;
            let mut follow = opened.expect("the stream is there");
            loop {
                match follow.next().await {
                    Ok(record) => {
                        let event = Stored::try_from(&record).expect("the stream holds our events alone");
                        this.take(&world, &event);
                    }
                    Err(Error::NoStream(_)) => {}
                    Err(error) => panic!("the log itself does not fail: {error}"),
                }
            }
        });
        texts
    }

    fn take(&self, world: &World, event: &Stored) {
        let Event::Token(token::Event::Published(record)) = &event.event else { return };
        let key = (event.subject.scope().to_owned(), event.subject.aggregate().to_owned());
        let mut texts = self.0.lock().expect("nobody panics here");
        let text = texts.entry(key.clone()).or_default();
        text.transcript.take(record.clone(), event.sequence);
        let Some(now) = text.transcript.text().map(|text| text.whole().clone()) else { return };
        if !is_one_text(&now.text, &text.shown) || !is_one_text(&now.tokens, &text.shown_tokens) {
            world.trace.violation(format!(
                "{key:?}: a reader had {:?}, and then reads {:?} (attempt {})",
                text.shown, now.text, record.attempt
            ));
        }
        if now.tokens.len() >= text.shown_tokens.len() && now.text.len() >= text.shown.len() {
            (text.shown, text.shown_tokens) = (now.text, now.tokens);
        }
    }

    /// Holds what was read to what each job completed with: its beginning, and all of it where nothing went wrong any more.
    pub(crate) async fn compare(&self, world: &World) {
        let completed = [Filter::event(Domain::Job, "completed")];
        let read = world.store.memory.read(stream::LOG, &completed, 1, usize::MAX).await;
        let processes = &world.plan.processes;
        let echo_ms = if processes.freeze_ms + processes.cut_ms > 0 { AWAY_ECHO_MS } else { ECHO_MS };
        let rough_ms = u64::try_from(world.plan.rough.as_millis()).expect("some seconds");
        let undisturbed = BEGAN.plus_ms(rough_ms + echo_ms);
        let texts = self.0.lock().expect("nobody panics here");
        for record in read.expect("the log can be read") {
            let event = Stored::try_from(&record).expect("the log holds our events alone");
            let key = (event.subject.scope().to_owned(), event.subject.aggregate().to_owned());
            let (Event::Job(job::Event::Completed(completed)), Some(text)) = (&event.event, texts.get(&key))
            else {
                continue;
            };
            let whole = &completed.output;
            if !whole.text.starts_with(&text.shown) || !whole.tokens.starts_with(&text.shown_tokens) {
                world.trace.violation(format!(
                    "{key:?} completed with {:?}, and a reader had {:?}",
                    whole.text, text.shown
                ));
            }
            let read = text.transcript.text().map(|text| &text.whole().text);
            if event.stored_at >= undisturbed && read != Some(&whole.text) {
                world.trace.violation(format!(
                    "{key:?} completed with {:?} undisturbed, and its tokens tell {read:?}",
                    whole.text
                ));
            }
        }
    }
}

/// Whether one is the beginning of the other.
fn is_one_text<T: Beginning + ?Sized>(a: &T, b: &T) -> bool {
    a.begins_with(b) || b.begins_with(a)
}

trait Beginning {
    fn begins_with(&self, other: &Self) -> bool;
}

impl Beginning for String {
    fn begins_with(&self, other: &Self) -> bool {
        self.starts_with(other.as_str())
    }
}

impl Beginning for Vec<u32> {
    fn begins_with(&self, other: &Self) -> bool {
        self.starts_with(other)
    }
}
