//! Whole jobs through every process, in a closed loop: so many are under way, and where one is charged the next is posted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lowland_events::{
    Domain, Draft, Event, Filter, Stored, Subject, account,
    id::{AccountId, JobId},
    log::{Log, SharedLog, Start},
    request::Posted,
    stream,
};
use lowland_host::clock;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::{latency::Times, system::MODEL};
use crate::client::post::new_job_id;

/// Longest time without any job being charged.
const STALLED: Duration = Duration::from_secs(30);

/// What is posted.
#[derive(Debug, Clone)]
pub struct Load {
    /// Jobs in all.
    pub jobs: usize,
    /// Jobs under way at once.
    pub outstanding: usize,
    /// Accounts that they belong to, in turn.
    pub accounts: Vec<AccountId>,
    /// Characters of a prompt, which come back as tokens.
    pub prompt_chars: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Driven {
    /// From the first post to the last charge.
    pub took: Duration,
    /// From a post to the job's first token.
    pub first_token: Times,
    /// From a post to the job's charge.
    pub charged: Times,
}

/// Job ids and when each was posted; one goes when it is charged.
type Posts = Arc<Mutex<HashMap<JobId, Instant>>>;

/// Drives all of `load` through the system on `log`. `tell` hears how many jobs are charged.
pub async fn drive(log: SharedLog, load: Load, tell: impl Fn(usize) + Send + Sync) -> Result<Driven> {
    let posts = Posts::default();
    let ends = log.follow(stream::LOG, &charges(&load.accounts), Start::New).await?;
    let tokens = log.follow(stream::TOKENS, &[Filter::domain(Domain::Token)], Start::New).await?;
    let mut tasks = JoinSet::new();
    let first_token = Arc::new(Mutex::new(Times::default()));
    tasks.spawn(note_tokens(tokens, posts.clone(), first_token.clone()));
    let places = Arc::new(Semaphore::new(load.outstanding));
    let began = Instant::now();
    tasks.spawn(post_all(log, load.clone(), posts.clone(), places.clone()));
    let charged = count_charges(ends, &load, &posts, &places, tell, &mut tasks).await?;
    let took = began.elapsed();
    drop(tasks);
    let first_token = first_token.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Driven { took, first_token, charged })
}

/// A charge and the release of what it left of the hold are one batch: the charge tells.
fn charges(accounts: &[AccountId]) -> Vec<Filter> {
    accounts.iter().map(|account| Filter::scope_event(Domain::Account, account.as_str(), "charged")).collect()
}

type Follow = Box<dyn lowland_events::log::Follow>;

async fn count_charges(
    mut ends: Follow,
    load: &Load,
    posts: &Posts,
    places: &Semaphore,
    tell: impl Fn(usize) + Send + Sync,
    tasks: &mut JoinSet<Result<()>>,
) -> Result<Times> {
    let mut charged = Times::default();
    let mut done = 0;
    while done < load.jobs {
        let record = tokio::select! {
            record = timeout(STALLED, ends.next()) => record.with_context(|| {
                format!("no job was charged for {} s; {done} of {} were", STALLED.as_secs(), load.jobs)
            })??,
            Some(ended) = tasks.join_next() => {
                ended??;
                continue;
            }
        };
        let Event::Account(account::Event::Charged(charge)) = Stored::try_from(&record)?.event else {
            continue;
        };
        let posted = posts.lock().unwrap_or_else(PoisonError::into_inner).remove(&charge.job);
        if let Some(posted) = posted {
            charged.add(posted.elapsed());
            places.add_permits(1);
            done += 1;
            tell(done);
        }
    }
    Ok(charged)
}

async fn note_tokens(mut tokens: Follow, posts: Posts, times: Arc<Mutex<Times>>) -> Result<()> {
    loop {
        let record = tokens.next().await?;
        let stored = Stored::try_from(&record)?;
        let Event::Token(lowland_events::token::Event::Published(part)) = &stored.event else { continue };
        let Some(job) = stored.subject.job_id().filter(|_| part.first == 0) else { continue };
        let posted = posts.lock().unwrap_or_else(PoisonError::into_inner).get(&job).copied();
        if let Some(posted) = posted {
            times.lock().unwrap_or_else(PoisonError::into_inner).add(posted.elapsed());
        }
    }
}

async fn post_all(log: SharedLog, load: Load, posts: Posts, places: Arc<Semaphore>) -> Result<()> {
    let mut posting = JoinSet::new();
    for number in 0..load.jobs {
        places.acquire().await?.forget();
        let (job, account) = (new_job_id(), load.accounts[number % load.accounts.len()].clone());
        posts.lock().unwrap_or_else(PoisonError::into_inner).insert(job.clone(), Instant::now());
        let (log, prompt) = (log.clone(), prompt(load.prompt_chars));
        posting.spawn(async move { post(&*log, &account, &job, prompt).await });
        while let Some(posted) = posting.try_join_next() {
            posted??;
        }
    }
    while let Some(posted) = posting.join_next().await {
        posted??;
    }
    Ok(())
}

/// A prompt of so many characters.
#[must_use]
pub fn prompt(chars: usize) -> String {
    "inference flows to where it is cheap; ".chars().cycle().take(chars).collect()
}

/// Posts a job that gives its prompt back.
pub async fn post(log: &dyn Log, account: &AccountId, job: &JobId, prompt: String) -> Result<()> {
    let posted = Posted {
        model: MODEL.into(),
        max_tokens: u32::try_from(prompt.chars().count()).ok(),
        prompt: Some(prompt),
        temperature: Some(0.0),
        ..Posted::default()
    };
    let draft =
        Draft::new(Subject::request(account, job, "posted"), posted, job.as_str(), "bench", clock::now());
    if log.append(draft.entry()).await?.repeated {
        bail!("job {job} had been posted before");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_as_long_as_asked_for() {
        assert_eq!(prompt(100).chars().count(), 100);
        assert_eq!(prompt(0), "");
    }
}
