//! Following one job to its end: its text as it is written, its events as they are decided.

use anyhow::Result;
use lowland_events::{
    Domain, Event, Filter, Stored, Subject,
    id::{AccountId, JobId},
    job::Event as Job,
    log::{Follow, SharedLog, Start},
    request::Event as Request,
    stream,
};

/// What there is to show.
#[derive(Debug)]
pub enum Shown {
    /// More text.
    Text(String),
    /// An event of the job.
    Event(Box<Stored>),
}

/// A job that is being followed.
pub struct Watch {
    jobs: Box<dyn Follow>,
    tokens: Box<dyn Follow>,
    refusals: Box<dyn Follow>,
    text: Text,
}

impl Watch {
    /// Follows the job from its beginning; may be called before it is posted.
    pub async fn open(log: &SharedLog, account: &AccountId, job: &JobId) -> Result<Self> {
        let of = |domain| [Filter::aggregate(domain, account.as_str(), job.as_str())];
        let refused = [Filter::from(&Subject::request(account, job, "rejected"))];
        Ok(Self {
            jobs: log.follow(stream::LOG, &of(Domain::Job), Start::At(0)).await?,
            tokens: log.follow(stream::TOKENS, &of(Domain::Token), Start::At(0)).await?,
            refusals: log.follow(stream::REQUESTS, &refused, Start::At(0)).await?,
            text: Text::default(),
        })
    }

    /// Shows what comes until the job has ended, and returns its last event.
    pub async fn to_end(&mut self, mut show: impl FnMut(Shown)) -> Result<Stored> {
        loop {
            let record = tokio::select! {
                record = self.jobs.next() => record?,
                record = self.tokens.next() => record?,
                record = self.refusals.next() => record?,
            };
            let Ok(stored) = Stored::try_from(&record) else { continue };
            if let Some(more) = self.text.more(&stored.event) {
                show(Shown::Text(more));
            }
            if stored.subject.domain() != Domain::Token {
                show(Shown::Event(Box::new(stored.clone())));
            }
            if ends(&stored.event) {
                return Ok(stored);
            }
        }
    }
}

/// Whether nothing follows for the job.
pub fn ends(event: &Event) -> bool {
    matches!(
        event,
        Event::Job(
            Job::Completed(_) | Job::Failed(_) | Job::Cancelled(_) | Job::Expired(_) | Job::Rejected(_)
        ) | Event::Request(Request::Rejected(_))
    )
}

/// The text so far: tokens may come twice, or after `completed`, which has it whole.
#[derive(Debug, Default)]
struct Text {
    tokens: u32,
    shown: String,
}

impl Text {
    fn more(&mut self, event: &Event) -> Option<String> {
        let more = match event {
            Event::Token(lowland_events::token::Event::Published(part)) if part.first == self.tokens => {
                self.tokens += u32::try_from(part.tokens.len()).ok()?;
                part.text.clone()
            }
            Event::Job(Job::Completed(body)) => body.output.text.strip_prefix(&self.shown)?.to_owned(),
            _ => return None,
        };
        self.shown.push_str(&more);
        Some(more).filter(|more| !more.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{meter::Usage, token::Published};

    fn part(first: u32, text: &str) -> Event {
        let tokens = text.chars().map(u32::from).collect();
        let published = Published {
            attempt: 1,
            first,
            tokens,
            text: text.into(),
            logprobs: Vec::new(),
            usage: Usage::default(),
        };
        published.into()
    }

    #[test]
    fn nothing_is_shown_twice() {
        let mut text = Text::default();
        assert_eq!(text.more(&part(0, "ab")), Some("ab".into()));
        assert_eq!(text.more(&part(0, "ab")), None);
        assert_eq!(text.more(&part(2, "c")), Some("c".into()));
        assert_eq!(text.more(&part(3, "")), None);
    }
}
