//! Money for the first steps: a new data folder's own account begins with some, so that its first job is not rejected.

use std::time::Duration;

use anyhow::{Context, Result};
use lowland_billing::{statement, topup::is_booked, topup_request};
use lowland_events::{
    Money,
    id::{AccountId, JobId},
    log::SharedLog,
};
use lowland_host::clock;
use tokio::time::{sleep, timeout};

/// What a new account of this machine's own may spend, in micro-units.
pub const WELCOME: Money = Money(10_000_000);
/// Longest wait for billing to book it.
const BOOKED_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(50);

/// Adds [`WELCOME`] to an account that never had any money, and waits until it can be spent. Whether it did.
pub async fn welcome(log: &SharedLog, account: &AccountId) -> Result<bool> {
    if statement(log, account).await?.topped_up > Money::ZERO {
        return Ok(false);
    }
    let topup = JobId::new("welcome")?;
    top_up(log, account, &topup, WELCOME, Some("welcome".into())).await
}

/// Adds `amount` under the id `topup` and waits until it is booked; nothing, and `false`, if that id was booked before.
pub async fn top_up(
    log: &SharedLog,
    account: &AccountId,
    topup: &JobId,
    amount: Money,
    reference: Option<String>,
) -> Result<bool> {
    if is_booked(log, account, topup).await? {
        return Ok(false);
    }
    let draft = topup_request(account, topup, amount, reference, "operator", clock::now())?;
    log.append(draft.entry()).await?;
    let booked = async {
        while !is_booked(log, account, topup).await? {
            sleep(POLL).await;
        }
        anyhow::Ok(true)
    };
    timeout(BOOKED_WITHIN, booked).await.context("billing has not booked it yet: is it running?")?
}
