//! Reading what is stored, by questions that the server answers from the stream itself, without a consumer.

use std::time::Duration;

use async_nats::{HeaderValue, Message, StatusCode, Subscriber, jetstream::message::StreamMessage};
use bytes::Bytes;
use futures::{StreamExt, future};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    api::{self, ApiFailure, code},
    line::{Line, Unheard},
    message,
    tries::{ANSWER_WAIT, Tries},
};
use crate::{
    log::{Error, Extent, Record},
    subject::Filter,
};

/// Messages asked for at once; far below what a subscription holds.
const PAGE_MAX: usize = 4096;
/// Bytes asked for at once.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// Longest silence within one page.
const PAGE_SILENCE: Duration = ANSWER_WAIT;

/// Which single message is wanted.
pub(super) enum Query<'a> {
    /// The last that `filter` selects.
    Last { filter: &'a Filter },
    /// The first after `sequence` that `filter` selects.
    NextAfter { sequence: u64, filter: &'a Filter },
}

impl Query<'_> {
    fn body(&self) -> serde_json::Value {
        match self {
            Self::Last { filter } => json!({ "last_by_subj": filter.as_str() }),
            Self::NextAfter { sequence, filter } => {
                json!({ "seq": sequence + 1, "next_by_subj": filter.as_str() })
            }
        }
    }
}

/// The last message that `filter` selects.
pub(super) async fn last(line: &Line, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
    get(line, stream, Query::Last { filter }).await
}

/// One message: directly where the stream allows it, else through the API.
pub(super) async fn get(line: &Line, stream: &str, query: Query<'_>) -> Result<Option<Record>, Error> {
    let subject = direct_subject(stream);
    let body: Bytes = query.body().to_string().into();
    let mut tries = Tries::default();
    loop {
        match line.ask(&subject, None, body.clone(), ANSWER_WAIT).await {
            Ok(message) if message.status == Some(StatusCode::NOT_FOUND) => return Ok(None),
            Ok(message) => return one_record(stream, message).map(Some),
            Err(Unheard::Nobody) => return get_by_api(line, stream, query).await,
            Err(Unheard::Lost(text)) => {
                if !tries.again().await {
                    return Err(Error::Unanswered(text));
                }
            }
            Err(unheard) => return Err(api::unheard_about(unheard)),
        }
    }
}

fn one_record(stream: &str, message: Message) -> Result<Record, Error> {
    let said = message.description.clone();
    message::direct(message).ok_or_else(|| {
        let said = said.unwrap_or_else(|| "an answer without a message".to_owned());
        Error::Refused(format!("stream {stream}: {said}"))
    })
}

#[derive(Deserialize)]
struct MessageAnswer {
    message: async_nats::jetstream::stream::RawMessage,
}

async fn get_by_api(line: &Line, stream: &str, query: Query<'_>) -> Result<Option<Record>, Error> {
    let verb = format!("STREAM.MSG.GET.{stream}");
    let answer: MessageAnswer = match api::ask(line, &verb, &query.body()).await {
        Ok(answer) => answer,
        Err(failure) if failure.said(code::NO_MESSAGE) => return Ok(None),
        Err(failure) => return Err(failure.about(stream)),
    };
    let message = StreamMessage::try_from(answer.message)
        .map_err(|error| Error::Unanswered(format!("the server's answer cannot be read: {error}")))?;
    Ok(Some(message::raw(stream, message)))
}

fn direct_subject(stream: &str) -> String {
    api::subject(&format!("DIRECT.GET.{stream}"))
}

/// At most `most` messages that any of `filters` selects (all, if there are none), from `from` on.
pub(super) async fn read(
    line: &Line,
    stream: &str,
    filters: &[Filter],
    from: u64,
    most: usize,
) -> Result<Vec<Record>, Error> {
    let everything = [Filter::everything()];
    let filters = if filters.is_empty() { &everything } else { filters };
    let mut records = Vec::new();
    let mut from = from.max(1);
    while records.len() < most {
        let wanted = (most - records.len()).min(PAGE_MAX);
        let pages = filters.iter().map(|filter| page(line, stream, filter, from, wanted));
        let merged = merge(future::try_join_all(pages).await?, wanted);
        let Some(last) = merged.records.last() else { break };
        from = last.sequence + 1;
        records.extend(merged.records);
        if merged.complete {
            break;
        }
    }
    Ok(records)
}

/// Some messages in order, and whether there were no more.
struct Page {
    records: Vec<Record>,
    complete: bool,
}

/// One page out of a page for each filter: what lies beyond the end of an incomplete page is left for later, since
/// messages of that filter may come before it.
fn merge(pages: Vec<Page>, most: usize) -> Page {
    let known_to = pages
        .iter()
        .filter(|page| !page.complete)
        .map(|page| page.records.last().map_or(0, |record| record.sequence))
        .min();
    let mut records: Vec<Record> = pages.into_iter().flat_map(|page| page.records).collect();
    records.sort_by_key(|record| record.sequence);
    records.dedup_by_key(|record| record.sequence);
    let all = records.len();
    records.retain(|record| known_to.is_none_or(|known_to| record.sequence <= known_to));
    records.truncate(most);
    Page { complete: known_to.is_none() && records.len() == all, records }
}

/// A page, asked for again as long as the connection breaks.
async fn page(line: &Line, stream: &str, filter: &Filter, from: u64, most: usize) -> Result<Page, Error> {
    let mut tries = Tries::default();
    loop {
        match page_once(line, stream, filter, from, most).await {
            Ok(page) => return Ok(page),
            Err(Unheard::Nobody) => return Err(why_nobody(line, stream).await),
            Err(Unheard::Lost(text)) => {
                if !tries.again().await {
                    return Err(Error::Unanswered(text));
                }
            }
            Err(unheard) => return Err(api::unheard_about(unheard)),
        }
    }
}

/// Nobody answers direct questions: the stream is not there, or does not allow them.
async fn why_nobody(line: &Line, stream: &str) -> Error {
    match api::info(line, stream).await {
        Ok(_) => Error::Refused(format!("stream {stream} does not allow direct reading: ensure it again")),
        Err(failure) => failure.about(stream),
    }
}

async fn page_once(
    line: &Line,
    stream: &str,
    filter: &Filter,
    from: u64,
    most: usize,
) -> Result<Page, Unheard> {
    let subject = direct_subject(stream);
    let mut events = line.events();
    line.wait_connected(&mut events, Instant::now() + ANSWER_WAIT).await?;
    let asked = line.now();
    let inbox = line.client().new_inbox();
    let lost = |error: &dyn std::fmt::Display| Unheard::Lost(error.to_string());
    let mut answers = line.client().subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
    let body = json!({
        "seq": from,
        "next_by_subj": filter.as_str(),
        "batch": most,
        "max_bytes": PAGE_BYTES_MAX,
    });
    let question = line.client().publish_with_reply(subject.clone(), inbox.clone(), body.to_string().into());
    question.await.map_err(|error| lost(&error))?;
    let subjects = [subject.as_str(), inbox.as_str()];
    tokio::select! {
        biased;
        page = gather(&mut answers, most) => page,
        why = line.interrupted(&mut events, asked, &subjects) => Err(why),
    }
}

/// Reads answers until the one that ends the page.
async fn gather(answers: &mut Subscriber, most: usize) -> Result<Page, Unheard> {
    let mut records = Vec::with_capacity(most.min(PAGE_MAX));
    loop {
        let answer = tokio::time::timeout(PAGE_SILENCE, answers.next()).await;
        let Ok(Some(message)) = answer else {
            return Err(Unheard::Lost("a page of messages did not arrive whole".to_owned()));
        };
        match message.status {
            None => records.push(read_record(message)?),
            Some(StatusCode::NOT_FOUND) => return Ok(Page { records, complete: true }),
            Some(StatusCode::NO_RESPONDERS) => return Err(Unheard::Nobody),
            Some(status) if status.as_u16() == END_OF_PAGE => {
                let pending = message.headers.as_ref().and_then(|map| map.get(message::PENDING));
                let complete = pending.map(HeaderValue::as_str) == Some("0");
                return Ok(Page { records, complete });
            }
            Some(status) => {
                return Err(Unheard::Invalid(format!(
                    "the server refuses a read: {status} {}",
                    message.description.unwrap_or_default()
                )));
            }
        }
    }
}

/// Status of the answer after a page's last message.
const END_OF_PAGE: u16 = 204;

fn read_record(message: Message) -> Result<Record, Unheard> {
    message::direct(message)
        .ok_or_else(|| Unheard::Lost("the server's answer says not where it comes from".to_owned()))
}

/// First and last sequence of the stream.
pub(super) async fn extent(line: &Line, stream: &str) -> Result<Extent, Error> {
    let state = api::info(line, stream).await.map_err(|failure| failure.about(stream))?.state;
    Ok(Extent { first: state.first_seq, last: state.last_seq, messages: state.messages })
}

#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

/// Removes what `filter` selects below sequence `below`.
pub(super) async fn purge(line: &Line, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
    if below <= 1 {
        return api::info(line, stream).await.map(|_| 0).map_err(|failure| failure.about(stream));
    }
    let question = json!({ "filter": filter.as_str(), "seq": below });
    let purged: Result<Purged, ApiFailure> =
        api::ask(line, &format!("STREAM.PURGE.{stream}"), &question).await;
    purged.map(|answer| answer.purged).map_err(|failure| failure.about(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{envelope::Headers, time::Time};

    fn page_of(sequences: &[u64], complete: bool) -> Page {
        let record = |sequence: &u64| Record {
            stream: "S".to_owned(),
            sequence: *sequence,
            subject: String::new(),
            headers: Headers::default(),
            payload: Bytes::new(),
            stored_at: Time(0),
        };
        Page { records: sequences.iter().map(record).collect(), complete }
    }

    fn merged(pages: Vec<Page>, most: usize) -> (Vec<u64>, bool) {
        let page = merge(pages, most);
        (page.records.iter().map(|record| record.sequence).collect(), page.complete)
    }

    #[test]
    fn whole_pages_are_merged_without_repetition() {
        let pages = vec![page_of(&[1, 4, 6], true), page_of(&[2, 4], true)];
        assert_eq!(merged(pages, 9), (vec![1, 2, 4, 6], true));
    }

    #[test]
    fn nothing_beyond_an_incomplete_page_is_given_out() {
        let pages = vec![page_of(&[1, 9], true), page_of(&[2, 3], false)];
        assert_eq!(merged(pages, 9), (vec![1, 2, 3], false));
    }

    #[test]
    fn what_was_cut_off_is_not_complete() {
        let pages = vec![page_of(&[1, 3], true), page_of(&[2, 4], true)];
        assert_eq!(merged(pages, 3), (vec![1, 2, 3], false));
    }
}
