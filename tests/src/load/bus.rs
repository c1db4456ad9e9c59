//! A tenant with nothing but a NATS client: it publishes requests, and has each acknowledged by the stream.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, HeaderMap};
use lowland_events::{
    Subject,
    id::{AccountId, JobId},
    stream::REQUESTS,
};
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{AGAIN, Ask, Heard, Mix, Notes, PATIENCE};
use crate::site::Site;

/// Longest wait for the stream's acknowledgement before the same is published again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(3);
/// Pauses between two jobs of a publisher, in milliseconds.
const PAUSES_MS: std::ops::RangeInclusive<u64> = 200..=1200;

/// A publisher.
pub(super) struct Publisher {
    client: Client,
    account: String,
    number: usize,
    notes: Notes,
}

impl Publisher {
    /// Connects as the tenant of `system`.
    pub(super) async fn of(system: &Site, number: usize, notes: Notes) -> Self {
        let (user, password) = (system.said("nats_user"), system.said("nats_password"));
        let options = ConnectOptions::with_user_and_password(user.into(), password.into())
            .request_timeout(Some(ACKNOWLEDGED_WITHIN))
            .max_reconnects(None)
            .reconnect_delay_callback(|_| AGAIN);
        let client = options.connect(system.said("nats_url")).await.expect("a tenant may connect");
        Self { client, account: user.to_owned(), number, notes }
    }

    /// Posts again and again, until it is over.
    pub(super) async fn live(self, mix: Mix, mut chance: impl Rng) {
        for count in 0_u64.. {
            if self.notes.over() {
                return;
            }
            let name = format!("p{}n{count}", self.number);
            let ask = Ask::draw(&mix, &name, &mut chance);
            self.once(&format!("{name}-{:x}", chance.next_u64()), ask).await;
            sleep(Duration::from_millis(chance.random_range(PAUSES_MS))).await;
        }
    }

    async fn once(&self, job: &str, ask: Ask) {
        let acknowledged = self.publish(job, "posted", &ask.body()).await;
        if acknowledged && let Some(after) = ask.cancel_ms {
            sleep(Duration::from_millis(after)).await;
            self.publish(job, "cancel_requested", &json!({})).await;
        }
        let cancelled = ask.cancel_ms.is_some();
        let heard = Heard { ask, acknowledged, cancelled, read: None };
        self.notes.write(|report| drop(report.jobs.insert((self.account.clone(), job.to_owned()), heard)));
    }

    /// Publishes until it is acknowledged; the same id makes a repetition harmless.
    async fn publish(&self, job: &str, event: &str, body: &Value) -> bool {
        let account = AccountId::new(&self.account).expect("an account's id");
        let subject = Subject::request(&account, &JobId::new(job).expect("a job's id"), event).to_string();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{job}-{event}"));
        let payload = body.to_string();
        let acknowledged = async {
            loop {
                let request = self.client.request_with_headers(
                    subject.clone(),
                    headers.clone(),
                    payload.clone().into(),
                );
                if request.await.is_ok_and(|answer| is_acknowledgement(&answer.payload)) {
                    return;
                }
                sleep(AGAIN).await;
            }
        };
        let in_time = timeout(PATIENCE, acknowledged).await.is_ok();
        if !in_time {
            let complaint = format!("{subject} was not acknowledged in {PATIENCE:?}");
            self.notes.write(|report| report.complaints.push(complaint));
        }
        in_time
    }
}

/// Whether the stream of requests says that it has stored it.
fn is_acknowledgement(answer: &[u8]) -> bool {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["stream"] == REQUESTS && answer["seq"].as_u64().is_some_and(|sequence| sequence > 0)
}

#[cfg(test)]
mod tests {
    use super::is_acknowledgement;

    #[test]
    fn an_error_is_no_acknowledgement() {
        assert!(is_acknowledgement(br#"{"stream":"REQUESTS","seq":7}"#));
        assert!(!is_acknowledgement(br#"{"stream":"REQUESTS","seq":0,"error":{"code":503}}"#));
        assert!(!is_acknowledgement(b"") && !is_acknowledgement(br#"{"stream":"LOG","seq":7}"#));
    }
}
