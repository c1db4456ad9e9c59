//! Reading accounts from the log, page by page, for statements and invoices.

use lowland_events::{
    Filter, Stored,
    log::{Error, SharedLog},
    stream,
};

/// Records read at once.
const PAGE: usize = 1000;

/// Gives each event that `filter` selects of the log to `take`, in order. A record that is no event of ours is skipped,
/// as everywhere.
pub(crate) async fn each(
    log: &SharedLog,
    filter: Filter,
    mut take: impl FnMut(&Stored) + Send,
) -> Result<(), Error> {
    let filters = [filter];
    let mut from = 1;
    loop {
        let page = log.read(stream::LOG, &filters, from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.sequence + 1;
        for record in &page {
            match Stored::try_from(record) {
                Ok(event) => take(&event),
                Err(error) => tracing::warn!(sequence = record.sequence, %error, "skipping a record"),
            }
        }
    }
}
