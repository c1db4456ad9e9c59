//! Appending: published with an id and an expectation, repeated until the server has answered.

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::future;
use serde::Deserialize;

use super::{
    api::{ApiError, code},
    line::{Line, Unheard},
    message::{self, BatchPlace},
    readback,
    tries::{ANSWER_WAIT, Tries},
};
use crate::log::{AppendError, Appended, BATCH_MAX, Entry};

/// What the server says to a published message.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) stream: String,
    #[serde(default)]
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) duplicate: bool,
    pub(super) error: Option<ApiError>,
}

/// What to do about a failure.
enum Verdict {
    /// Repeat it; the error, if that is of no use either.
    Repeat(AppendError),
    /// An aggregate moved on, or the id is known: look whether this append did it, in this stream.
    LookBack(String, ApiError),
    /// Tell the caller.
    Fail(AppendError),
}

/// Appends one message.
pub(super) async fn one(line: &Line, entry: Entry) -> Result<Appended, AppendError> {
    let mut tries = Tries::default();
    loop {
        let headers = message::headers(&entry, None).map_err(AppendError::Refused)?;
        let answer = send(line, &[&entry.subject], &entry, headers).await;
        match judge(answer, &entry.subject) {
            Ok(appended) => return Ok(appended),
            Err(Verdict::Fail(error)) => return Err(error),
            Err(Verdict::LookBack(stream, said)) => {
                let stored = readback::one(line, &stream, &entry).await?;
                return stored.ok_or_else(|| AppendError::Conflict { detail: said.to_string() });
            }
            Err(Verdict::Repeat(error)) => {
                if !tries.again().await {
                    return Err(error);
                }
            }
        }
    }
}

/// Appends several messages as one.
pub(super) async fn batch(line: &Line, entries: Vec<Entry>) -> Result<Appended, AppendError> {
    match entries.len() {
        0 => return Err(AppendError::Refused("a batch has at least one message".to_owned())),
        1 => return one(line, entries.into_iter().next().expect("there is one")).await,
        many if many > BATCH_MAX => {
            return Err(AppendError::Refused(format!(
                "a batch has at most {BATCH_MAX} messages, this one {many}"
            )));
        }
        _ => {}
    }
    insist(line, &entries, true).await
}

/// Appends several batches as one. A conflict may be a repetition of some of them: that is seen when each is appended
/// by itself, so only a repetition of this very try is looked for.
pub(super) async fn group(line: &Line, entries: &[Entry]) -> Result<Appended, AppendError> {
    insist(line, entries, false).await
}

async fn insist(line: &Line, entries: &[Entry], mut may_be_stored: bool) -> Result<Appended, AppendError> {
    let mut tries = Tries::default();
    loop {
        match judge(send_batch(line, entries).await, &entries[0].subject) {
            Ok(appended) => return Ok(appended),
            Err(Verdict::Fail(error)) => return Err(error),
            Err(Verdict::LookBack(_, said)) if !may_be_stored => {
                return Err(AppendError::Conflict { detail: said.to_string() });
            }
            Err(Verdict::LookBack(stream, said)) => {
                let stored = readback::batch(line, &stream, entries).await?;
                return stored.ok_or_else(|| AppendError::Conflict { detail: said.to_string() });
            }
            Err(Verdict::Repeat(error)) => {
                may_be_stored = true;
                if !tries.again().await {
                    return Err(error);
                }
            }
        }
    }
}

async fn send_batch(line: &Line, entries: &[Entry]) -> Result<Answer, Unheard> {
    let id = line.client().new_inbox();
    let id = id.rsplit('.').next().unwrap_or(&id);
    let subjects: Vec<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
    for (index, entry) in entries.iter().enumerate() {
        let last = index + 1 == entries.len();
        let place = BatchPlace { id, place: index + 1, last };
        let headers = message::headers(entry, Some(place)).map_err(Unheard::Invalid)?;
        if last {
            return send(line, &subjects, entry, headers).await;
        }
        post(line, entry, headers).await?;
    }
    Err(Unheard::Invalid("a batch has at least one message".to_owned()))
}

/// Publishes a message that is not answered.
async fn post(line: &Line, entry: &Entry, headers: HeaderMap) -> Result<(), Unheard> {
    let deadline = tokio::time::Instant::now() + ANSWER_WAIT;
    line.wait_connected(&mut line.events(), deadline).await?;
    let published = line.client().publish_with_headers(entry.subject.clone(), headers, entry.payload.clone());
    match tokio::time::timeout_at(deadline, published).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.kind() {
            async_nats::PublishErrorKind::Send => Unheard::Lost(error.to_string()),
            _ => Unheard::Invalid(error.to_string()),
        }),
        Err(_) => Err(Unheard::Lost("the connection does not take the message".to_owned())),
    }
}

async fn send(line: &Line, subjects: &[&str], entry: &Entry, headers: HeaderMap) -> Result<Answer, Unheard> {
    let payload: Bytes = entry.payload.clone();
    let message = line.ask_about(subjects, &entry.subject, Some(headers), payload, ANSWER_WAIT).await?;
    serde_json::from_slice(&message.payload)
        .map_err(|error| Unheard::Lost(format!("the server's answer cannot be read: {error}")))
}

fn judge(answer: Result<Answer, Unheard>, subject: &str) -> Result<Appended, Verdict> {
    match answer {
        Ok(Answer { error: None, seq, duplicate, .. }) => Ok(Appended { sequence: seq, repeated: duplicate }),
        Ok(Answer { error: Some(error), stream, .. }) => Err(judge_error(error, stream)),
        Err(Unheard::Nobody) => Err(Verdict::Repeat(AppendError::NoStream(subject.to_owned()))),
        Err(Unheard::Lost(text)) => Err(Verdict::Repeat(AppendError::Unanswered(text))),
        Err(Unheard::Denied(text) | Unheard::Invalid(text)) => Err(Verdict::Fail(AppendError::Refused(text))),
    }
}

fn judge_error(error: ApiError, stream: String) -> Verdict {
    match error.err_code {
        code::WRONG_LAST_SEQUENCE | code::BATCH_DUPLICATE => Verdict::LookBack(stream, error),
        code::AGGREGATE_IN_PROCESS | code::ID_IN_PROCESS | code::UNAVAILABLE => {
            Verdict::Repeat(AppendError::Unanswered(error.to_string()))
        }
        code::BATCHES_TOO_MANY => Verdict::Repeat(AppendError::Unanswered(error.to_string())),
        code::BATCH_INCOMPLETE => Verdict::Repeat(AppendError::Refused(format!(
            "{error}; does one stream take all its subjects, and has it room?"
        ))),
        _ => Verdict::Fail(AppendError::Refused(format!("{error} (code {})", error.code))),
    }
}

/// The sequence under which the server remembers the id of each of `entries`.
pub(super) async fn remembered(line: &Line, entries: &[Entry]) -> Result<Vec<Option<u64>>, Unheard> {
    let never = line.client().new_inbox();
    let probes = entries.iter().map(|entry| async {
        let headers = message::probe_headers(entry, &never);
        let answer = line.ask(&entry.subject, Some(headers), Bytes::new(), ANSWER_WAIT).await?;
        let answer: Answer = serde_json::from_slice(&answer.payload)
            .map_err(|error| Unheard::Lost(format!("the server's answer cannot be read: {error}")))?;
        Ok((answer.error.is_none() && answer.duplicate).then_some(answer.seq))
    });
    future::try_join_all(probes).await
}
