//! Posting a request: JSON, by a plain NATS client, as a tenant. Nothing here that a few lines of another language
//! could not do.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::ConnectOptions;
use lowland_events::{
    Subject,
    id::{AccountId, JobId},
    request::Posted,
};
use rand::{RngExt, distr::Alphanumeric};
use serde::Deserialize;

use crate::supervise::state::Up;

/// Longest wait for the bus to say that it has stored a request.
const STORED_WITHIN: Duration = Duration::from_secs(10);
/// Random characters of a job's id.
const JOB_ID_CHARS: usize = 16;

/// What the bus answers to a publish.
#[derive(Debug, Deserialize)]
struct Stored {
    #[serde(default)]
    seq: u64,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    description: String,
}

/// A job id that no other job has.
pub fn new_job_id() -> JobId {
    let random: String = rand::rng().sample_iter(Alphanumeric).take(JOB_ID_CHARS).map(char::from).collect();
    JobId::new(random).expect("letters and digits are a valid id")
}

/// Posts `request` as the tenant that `up` names; returns once it is stored, with its sequence in the stream of requests.
pub async fn post(up: &Up, job: &JobId, request: &Posted) -> Result<u64> {
    let account = AccountId::new(&up.nats_user)?;
    let options = ConnectOptions::with_user_and_password(up.nats_user.clone(), up.nats_password.clone());
    let client =
        options.connect(&up.nats_url).await.with_context(|| format!("connecting to {}", up.nats_url))?;
    let subject = Subject::request(&account, job, "posted").to_string();
    let body = serde_json::to_vec(request)?;
    let answer = tokio::time::timeout(STORED_WITHIN, client.request(subject, body.into()))
        .await
        .context("the bus did not say whether it stored the request")??;
    let stored: Stored = serde_json::from_slice(&answer.payload).context("reading the bus's answer")?;
    match stored.error {
        Some(refusal) => bail!("the bus did not store the request: {}", refusal.description),
        None => Ok(stored.seq),
    }
}
