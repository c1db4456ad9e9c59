//! Reading a job's events from the streams: of its request, of itself, of its money.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use lowland_events::{
    Domain, Event, Filter, Stored,
    account::Event as Account,
    envelope::Undecodable,
    id::{AccountId, JobId},
    log::{Error, Record, SharedLog},
    retention::first_since,
    stream::{LOG, REQUESTS, TOKENS},
    token,
};

use super::{Entry, Story, near};
use crate::client::chain;

/// Records read at once.
const PAGE: usize = 1000;
/// Latest requests and submissions among which near misses are looked for, as sequences of their streams.
const NEAR_AMONG: u64 = 20_000;
/// What the HTTP API puts before a job's id.
const API_PREFIXES: [&str; 2] = ["chatcmpl-", "cmpl-"];

/// The story of the job called `id`, of `account` or of whoever has it.
pub async fn story(log: &SharedLog, id: &str, account: Option<&AccountId>) -> Result<Story> {
    let (job, records) = own(log, id, account).await?;
    let mut by_account: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in records.iter().filter_map(entry) {
        by_account.entry(entry.stored.subject.scope().to_owned()).or_default().push(entry);
    }
    if by_account.len() > 1 {
        return Err(ambiguous(&job, &by_account));
    }
    let Some((account, mut entries)) = by_account.pop_first() else {
        return Err(unknown(log, id, account).await?);
    };
    let account = AccountId::new(account)?;
    let as_of = log.extent(LOG).await?.last;
    entries.extend(money(log, &account, &job, &entries, as_of).await?);
    entries.sort_by_key(|entry| {
        let stored = &entry.stored;
        (stored.stored_at, stored.stream != REQUESTS, stored.sequence)
    });
    let mut story = Story::of(account, job, &entries, as_of);
    story.tokens_so_far = tokens(log, &story).await?;
    Ok(story)
}

/// Tokens that the job has written, if its latest are still there.
async fn tokens(log: &SharedLog, story: &Story) -> Result<Option<usize>> {
    let filter = Filter::aggregate(Domain::Token, story.account.as_str(), story.job.as_str());
    let last = match log.last(TOKENS, &filter).await {
        Ok(last) => last,
        Err(Error::NoStream(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(last.and_then(|record| match Stored::try_from(&record).ok()?.event {
        Event::Token(token::Event::Published(part)) => Some(part.first as usize + part.tokens.len()),
        _ => None,
    }))
}

/// Records of the job and its request; `id` may also be written as the HTTP API shows it.
async fn own(log: &SharedLog, id: &str, account: Option<&AccountId>) -> Result<(JobId, Vec<Record>)> {
    let short = API_PREFIXES.iter().find_map(|prefix| id.strip_prefix(prefix));
    let mut tried = None;
    for id in [Some(id), short].into_iter().flatten() {
        let job = JobId::new(id)?;
        let filter = |domain| match account {
            Some(account) => Filter::aggregate(domain, account.as_str(), job.as_str()),
            None => Filter::aggregate_of_any_scope(domain, job.as_str()),
        };
        let mut records = all(log, REQUESTS, filter(Domain::Request), 1, |_| false).await?;
        records.extend(all(log, LOG, filter(Domain::Job), 1, |_| false).await?);
        if !records.is_empty() {
            return Ok((job, records));
        }
        tried = Some(job);
    }
    tried.map(|job| (job, Vec::new())).ok_or_else(|| anyhow::anyhow!("no id was given"))
}

/// Everything that `filter` selects from `from` on, or until `enough`. A stream that is not there holds nothing.
async fn all(
    log: &SharedLog,
    stream: &str,
    filter: Filter,
    mut from: u64,
    mut enough: impl FnMut(&Record) -> bool,
) -> Result<Vec<Record>> {
    let filters = [filter];
    let mut records = Vec::new();
    loop {
        let page = match log.read(stream, &filters, from, PAGE).await {
            Ok(page) => page,
            Err(Error::NoStream(_)) => return Ok(records),
            Err(error) => return Err(error.into()),
        };
        let Some(last) = page.last() else { return Ok(records) };
        from = last.sequence + 1;
        for record in page {
            let enough = enough(&record);
            records.push(record);
            if enough {
                return Ok(records);
            }
        }
    }
}

/// A record as an event; one whose body cannot be read is told with the reason, one that is none of ours is left out.
fn entry(record: &Record) -> Option<Entry> {
    match Stored::try_from(record) {
        Ok(stored) => Some(Entry { stored, unreadable: None }),
        Err(Undecodable::Body { subject, error }) => {
            Some(Entry { stored: Stored::opaque(record, *subject), unreadable: Some(error.to_string()) })
        }
        Err(Undecodable::Subject(_)) => None,
    }
}

/// The account's events that are about the job: from its first event on, until all is settled.
async fn money(
    log: &SharedLog,
    account: &AccountId,
    job: &JobId,
    own: &[Entry],
    as_of: u64,
) -> Result<Vec<Entry>> {
    let first = own.iter().find(|entry| entry.stored.stream == LOG).map(|entry| entry.stored.sequence);
    let from = match (first, own.first()) {
        (Some(first), _) => first,
        (None, Some(request)) => first_since(&**log, request.stored.stored_at).await?,
        (None, None) => return Ok(Vec::new()),
    };
    let mut chain: Vec<Stored> = own.iter().map(|entry| entry.stored.clone()).collect();
    let mut found = Vec::new();
    let filter = Filter::scope(Domain::Account, account.as_str());
    if chain::was_refused(&chain) {
        return Ok(found);
    }
    all(log, LOG, filter, from, |record| {
        if let Some(entry) = entry(record).filter(|entry| concerns(&entry.stored, job)) {
            chain.push(entry.stored.clone());
            found.push(entry);
        }
        let booked = chain.iter().any(|stored| matches!(stored.event, Event::Account(Account::ToppedUp(_))));
        record.sequence >= as_of || booked || (chain::was_moved(&chain) && chain::is_settled(&chain))
    })
    .await?;
    Ok(found)
}

fn concerns(stored: &Stored, job: &JobId) -> bool {
    match &stored.event {
        Event::Account(Account::ToppedUp(body)) => body.topup == *job,
        Event::Account(_) => chain::concerns(stored, job),
        _ => false,
    }
}

fn ambiguous(job: &JobId, by_account: &BTreeMap<String, Vec<Entry>>) -> anyhow::Error {
    let each: Vec<String> = by_account
        .iter()
        .map(|(account, entries)| {
            let last = entries.last().map(|entry| &entry.stored);
            let last = last.map(|stored| format!("{} at {}", stored.event.name(), stored.meta.time));
            format!("  lowland why {job} --account {account}    ({})", last.unwrap_or_default())
        })
        .collect();
    anyhow::anyhow!("{} accounts have a job {job}; say whose:\n{}", by_account.len(), each.join("\n"))
}

/// What to say of an id that nobody has.
async fn unknown(log: &SharedLog, id: &str, account: Option<&AccountId>) -> Result<anyhow::Error> {
    let mut known = BTreeSet::new();
    for (stream, filter) in
        [(REQUESTS, Filter::domain(Domain::Request)), (LOG, Filter::event(Domain::Job, "submitted"))]
    {
        let Ok(extent) = log.extent(stream).await else { continue };
        let from = extent.last.saturating_sub(NEAR_AMONG).max(1);
        for record in all(log, stream, filter, from, |_| false).await? {
            if let Ok(subject) = record.subject.parse::<lowland_events::Subject>() {
                known.insert((subject.aggregate().to_owned(), subject.scope().to_owned()));
            }
        }
    }
    let whose = account.map(|account| format!(" of {account}")).unwrap_or_default();
    let near = near::misses(id, known.iter().map(|(job, _)| job.as_str()));
    if near.is_empty() {
        return Ok(anyhow::anyhow!(
            "there is no job {id:?}{whose} in the log; `lowland watch job.*.*.submitted --since 1h` shows those of the last hour"
        ));
    }
    let names = known.iter().filter(|(job, _)| near.contains(&job.as_str()));
    let names: Vec<String> =
        names.take(near::SUGGESTED_MAX).map(|(job, of)| format!("{job} (of {of})")).collect();
    Ok(anyhow::anyhow!("there is no job {id:?}{whose} in the log; did you mean {}?", names.join(", ")))
}
