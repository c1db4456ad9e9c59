//! Whether an append that was refused had succeeded before: its answer was lost, or the decision was taken again.
//!
//! The server holds a repetition against the aggregate's present sequence before it recognises its id, so a repetition of
//! an append that had succeeded looks like a conflict. Two ways to tell them apart: the server's memory of ids, while it
//! lasts; and the message that came right after the expected sequence, for ever.

use super::{
    api,
    fetch::{self, Query},
    line::Line,
    publish,
};
use crate::{
    envelope::header,
    log::{AppendError, Appended, Entry, Error, Record},
};

/// Where `entry` is stored, if it is.
pub(super) async fn one(line: &Line, stream: &str, entry: &Entry) -> Result<Option<Appended>, AppendError> {
    let remembered = remembered(line, std::slice::from_ref(entry)).await?;
    if let Some(sequence) = remembered[0] {
        return Ok(Some(Appended { sequence, repeated: true }));
    }
    let successor = successor(line, stream, entry).await?;
    Ok(successor.map(|record| Appended { sequence: record.sequence, repeated: true }))
}

/// Where the last of `entries` is stored, if all are, next to each other.
pub(super) async fn batch(
    line: &Line,
    stream: &str,
    entries: &[Entry],
) -> Result<Option<Appended>, AppendError> {
    let remembered = remembered(line, entries).await?;
    let first = match consecutive(&remembered) {
        Some(first) => Some(first),
        None => first_of_stored(line, stream, entries).await?,
    };
    Ok(first.map(|first| Appended { sequence: first + entries.len() as u64 - 1, repeated: true }))
}

/// The first of consecutive sequences, if they are.
fn consecutive(sequences: &[Option<u64>]) -> Option<u64> {
    let first = (*sequences.first()?)?;
    let all = sequences.iter().zip(first..).all(|(have, want)| *have == Some(want));
    all.then_some(first)
}

/// Finds a guarded message of the batch after its expected sequence, and the others around it.
async fn first_of_stored(line: &Line, stream: &str, entries: &[Entry]) -> Result<Option<u64>, AppendError> {
    let Some(index) = entries.iter().position(|entry| entry.expect.is_some()) else { return Ok(None) };
    let Some(found) = successor(line, stream, &entries[index]).await? else { return Ok(None) };
    let Some(first) = found.sequence.checked_sub(index as u64).filter(|first| *first > 0) else {
        return Ok(None);
    };
    let stored = seen(fetch::read(line, stream, &[], first, entries.len()).await)?.unwrap_or_default();
    let same = stored.len() == entries.len()
        && stored
            .iter()
            .zip(entries)
            .zip(first..)
            .all(|((record, entry), sequence)| record.sequence == sequence && is(record, entry));
    Ok(same.then_some(first))
}

/// The aggregate's first message after the expected one, if it is `entry`.
async fn successor(line: &Line, stream: &str, entry: &Entry) -> Result<Option<Record>, AppendError> {
    let Some(expect) = &entry.expect else { return Ok(None) };
    let query = Query::NextAfter { sequence: expect.last, filter: &expect.filter };
    let record = seen(fetch::get(line, stream, query).await)?.flatten();
    Ok(record.filter(|record| is(record, entry)))
}

fn is(record: &Record, entry: &Entry) -> bool {
    record.headers.value(header::MESSAGE_ID) == Some(entry.id.to_string().as_str())
}

async fn remembered(line: &Line, entries: &[Entry]) -> Result<Vec<Option<u64>>, AppendError> {
    publish::remembered(line, entries).await.map_err(|unheard| unread(api::unheard_about(unheard)))
}

/// A user who may not read the stream has the server's memory of ids alone.
fn seen<T>(read: Result<T, Error>) -> Result<Option<T>, AppendError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Error::Refused(why)) => {
            tracing::debug!(why, "an earlier append cannot be looked for");
            Ok(None)
        }
        Err(error) => Err(unread(error)),
    }
}

/// Not being able to look is not knowing.
fn unread(error: Error) -> AppendError {
    AppendError::Unanswered(format!("whether an earlier try was stored cannot be seen: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_are_a_batch() {
        assert_eq!(consecutive(&[Some(4), Some(5), Some(6)]), Some(4));
        assert_eq!(consecutive(&[Some(4), Some(6)]), None);
        assert_eq!(consecutive(&[Some(4), None]), None);
        assert_eq!(consecutive(&[None, Some(5)]), None);
        assert_eq!(consecutive(&[]), None);
    }
}
