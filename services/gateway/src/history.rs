//! Reading what is stored, in pages, as often as it takes.

use std::time::Duration;

use lowland_events::{
    Filter, Stored,
    log::{self, Record, SharedLog},
};

use crate::error::ApiError;

/// Records read from the log at once.
const PAGE_RECORDS: usize = 128;
/// Pause before a reading that was not answered is repeated, in milliseconds.
const READ_AGAIN_MS: u64 = 200;

/// Every event that `filter` selects, from sequence `from` on. Repeats what is not answered, so whoever can't wait sets
/// a time limit.
pub async fn each(
    log: &SharedLog,
    stream: &str,
    filter: &Filter,
    mut from: u64,
    mut take: impl FnMut(&Stored),
) -> Result<(), ApiError> {
    loop {
        let records = page(log, stream, filter, from, PAGE_RECORDS).await?;
        let Some(last) = records.last() else { return Ok(()) };
        from = last.sequence + 1;
        records.iter().filter_map(|record| Stored::try_from(record).ok()).for_each(|event| take(&event));
    }
}

/// At most `most` records; repeats until the log answers.
pub async fn page(
    log: &SharedLog,
    stream: &str,
    filter: &Filter,
    from: u64,
    most: usize,
) -> Result<Vec<Record>, ApiError> {
    loop {
        match log.read(stream, std::slice::from_ref(filter), from, most).await {
            Ok(records) => return Ok(records),
            Err(log::Error::NoStream(_)) => return Ok(Vec::new()),
            Err(log::Error::Unanswered(detail)) => {
                tracing::debug!(stream, detail, "reading again");
                tokio::time::sleep(Duration::from_millis(READ_AGAIN_MS)).await;
            }
            Err(error) => return Err(ApiError::log_unavailable(&error.to_string())),
        }
    }
}
