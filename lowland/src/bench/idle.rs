//! One job at a time on a system that does nothing else: how long the first token takes, by the bus and by HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lowland_events::{
    Domain, Event, Filter, Stored, account,
    id::AccountId,
    log::{Follow, Log, Start},
    stream,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    latency::Times,
    load::{post, prompt},
    system::MODEL,
};
use crate::{
    client::{post::new_job_id, sse::Events},
    supervise::state::Up,
};

/// Longest wait for one job.
const WITHIN: Duration = Duration::from_secs(10);

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Jobs.
    pub jobs: usize,
    /// Rest between one's end and the next one's post.
    pub rest: Duration,
    /// Characters of a prompt.
    pub prompt_chars: usize,
}

/// Times from posting on the bus to the first token from the bus, for jobs of `account`.
pub async fn by_bus(log: &dyn Log, account: &AccountId, pace: Pace) -> Result<Times> {
    let filter = |domain| [Filter::scope(domain, account.as_str())];
    let mut tokens = log.follow(stream::TOKENS, &filter(Domain::Token), Start::New).await?;
    let mut money = log.follow(stream::LOG, &filter(Domain::Account), Start::New).await?;
    let mut times = Times::default();
    for _ in 0..pace.jobs {
        sleep(pace.rest).await;
        let job = new_job_id();
        let began = Instant::now();
        let (posted, seen) = tokio::join!(
            post(log, account, &job, prompt(pace.prompt_chars)),
            timeout(WITHIN, tokens.next()),
        );
        posted?;
        let record = seen.context("no token came")??;
        times.add(began.elapsed());
        if Stored::try_from(&record)?.subject.job_id() != Some(job) {
            bail!("a token came that nobody waited for");
        }
        timeout(WITHIN, charged(&mut *money)).await.context("the job was not charged")??;
    }
    Ok(times)
}

async fn charged(money: &mut dyn Follow) -> Result<()> {
    loop {
        let record = money.next().await?;
        if let Event::Account(account::Event::Charged(_)) = Stored::try_from(&record)?.event {
            return Ok(());
        }
    }
}

/// Times from sending the HTTP request to the first text in its stream, on a connection that is kept.
pub async fn by_http(up: &Up, pace: Pace) -> Result<Times> {
    let gateway = up.gateway_url.as_ref().context("no gateway runs")?;
    let (client, url) = (reqwest::Client::new(), format!("{gateway}/v1/completions"));
    let body = json!({
        "model": MODEL,
        "prompt": prompt(pace.prompt_chars),
        "max_tokens": pace.prompt_chars,
        "temperature": 0,
        "stream": true,
    });
    let mut times = Times::default();
    for _ in 0..pace.jobs {
        sleep(pace.rest).await;
        let ask = client.post(&url).bearer_auth(&up.api_key).json(&body);
        times.add(timeout(WITHIN, first_text(ask)).await.context("no text came")??);
    }
    Ok(times)
}

async fn first_text(ask: reqwest::RequestBuilder) -> Result<Duration> {
    let began = Instant::now();
    let mut answer = ask.send().await?.error_for_status()?;
    let (mut events, mut first) = (Events::default(), None);
    while let Some(bytes) = answer.chunk().await? {
        let texts = events.take(&bytes);
        if first.is_none() && texts.iter().any(|data| has_text(data)) {
            first = Some(began.elapsed());
        }
    }
    first.context("the stream ended without a text")
}

fn has_text(data: &str) -> bool {
    let chunk: Value = serde_json::from_str(data).unwrap_or_default();
    chunk["choices"][0]["text"].as_str().is_some_and(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_counts() {
        assert!(has_text(r#"{"choices":[{"text":"a"}]}"#));
        assert!(!has_text(r#"{"choices":[{"text":""}]}"#));
        assert!(!has_text(r#"{"choices":[]}"#) && !has_text("[DONE]"));
    }
}
