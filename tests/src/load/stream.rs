//! A caller of the gateway who reads each text as it is written, and comes back wherever the connection breaks.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt};
use reqwest::Response;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    AGAIN, Ask, Heard, Http, Mix, Notes, PATIENCE, Read,
    http::{Opened, code},
    sse::Events,
};

/// Longest pause between two jobs of a caller, in milliseconds.
const PAUSE_MS_MAX: u64 = 200;
/// The same after one that was refused.
const REFUSED_PAUSE_MS_MAX: u64 = 3000;

/// A caller.
pub(super) struct Caller {
    pub(super) http: Http,
    pub(super) key: String,
    pub(super) account: String,
    pub(super) number: usize,
    pub(super) notes: Notes,
}

/// One text, as far as it was read.
struct Text {
    read: Read,
    last_id: Option<String>,
    last_at: Instant,
    /// Why it was to try again the last time.
    trouble: String,
}

impl Caller {
    /// Asks again and again, until it is over.
    pub(super) async fn live(self, mix: Mix, mut chance: impl Rng) {
        for count in 0_u64.. {
            if self.notes.over() {
                return;
            }
            let name = format!("s{}n{count}", self.number);
            let ask = Ask::draw(&mix, &name, &mut chance);
            let taken = self.once(&format!("{name}-{}", chance.next_u64()), ask).await;
            let longest = if taken { PAUSE_MS_MAX } else { REFUSED_PAUSE_MS_MAX };
            sleep(Duration::from_millis(chance.random_range(0..=longest))).await;
        }
    }

    /// One job, from asking to its end; whether it was taken.
    async fn once(&self, once: &str, ask: Ask) -> bool {
        let mut text = Text::begun();
        let mut promised = None;
        let end = timeout(PATIENCE, self.read(once, &ask, &mut text, &mut promised)).await;
        let Some(job) = promised else {
            // Refused before anything was promised: that, too, is an answer to be held to.
            self.refused(once, &ask, &end.unwrap_or(text.trouble));
            return false;
        };
        if end.is_err() {
            let Text { read, trouble, .. } = &text;
            self.complain(format!("{job} did not end in {PATIENCE:?}: {read:?} {trouble} {ask:?}"));
        }
        text.read.ending = end.unwrap_or_else(|_| "unfinished".into());
        let cancelled = ask.cancel_ms.is_some();
        let heard = Heard { ask, acknowledged: true, cancelled, read: Some(text.read) };
        self.notes.write(|report| drop(report.jobs.insert((self.account.clone(), job), heard)));
        true
    }

    fn refused(&self, once: &str, ask: &Ask, code: &str) {
        if code != "insufficient_quota" && code != "deadline_exceeded" {
            self.complain(format!("{} was refused {once}: {code:?} to {ask:?}", self.account));
        }
    }

    fn complain(&self, complaint: String) {
        self.notes.write(|report| report.complaints.push(complaint));
    }

    /// Reads until the end, over as many connections as it takes; gives how it ended.
    async fn read(&self, once: &str, ask: &Ask, text: &mut Text, promised: &mut Option<String>) -> String {
        loop {
            let opened = match (&promised, &text.last_id) {
                (Some(job), Some(last)) => self.http.resume(&self.key, job, last).await,
                _ => self.http.begin(&self.key, once, &ask.body()).await,
            };
            match opened {
                Opened::Flows(job, response) => {
                    if promised.replace(job.clone()).is_none() {
                        self.cancel_later(&job, ask);
                    }
                    text.read.connections += 1;
                    if let Some(end) = text.flow(response).await {
                        return end;
                    }
                }
                Opened::Ended(code) => return code,
                Opened::NotNow(why) => text.trouble = why,
            }
            sleep(AGAIN).await;
        }
    }

    fn cancel_later(&self, job: &str, ask: &Ask) {
        let Some(after) = ask.cancel_ms else { return };
        let (http, key, job) = (self.http.clone(), self.key.clone(), job.to_owned());
        tokio::spawn(async move {
            sleep(Duration::from_millis(after)).await;
            let _ = timeout(PATIENCE, async {
                while !http.cancel(&key, &job).await {
                    sleep(AGAIN).await;
                }
            })
            .await;
        });
    }
}

impl Text {
    fn begun() -> Self {
        Self { read: Read::default(), last_id: None, last_at: Instant::now(), trouble: String::new() }
    }

    /// Takes in what comes; gives the end, or nothing if the connection broke.
    async fn flow(&mut self, mut response: Response) -> Option<String> {
        let mut events = Events::default();
        while let Ok(Some(bytes)) = response.chunk().await {
            for event in events.take(&bytes) {
                if event.data == "[DONE]" {
                    return Some("completed".into());
                }
                let chunk: Value = serde_json::from_str(&event.data).expect("events are JSON");
                if chunk.get("error").is_some() {
                    return Some(code(&chunk)).filter(|code| code != "log_unavailable");
                }
                self.piece(&chunk, event.id);
            }
        }
        None
    }

    fn piece(&mut self, chunk: &Value, id: Option<String>) {
        let choices = chunk["choices"].as_array().into_iter().flatten();
        self.read.text.extend(choices.filter_map(|choice| choice["text"].as_str()));
        let first = self.last_id.is_none();
        self.last_id = id.or(self.last_id.take());
        let pause = self.last_at.elapsed();
        self.last_at = Instant::now();
        if !first {
            self.read.longest_pause = self.read.longest_pause.max(pause);
        }
    }
}
