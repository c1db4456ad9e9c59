//! Asking for a top-up, as the operator does.

use lowland_events::{
    Domain, Draft, Event, Filter, Money, Subject, Time, account,
    id::{AccountId, JobId},
    log::{self, SharedLog},
    request::TopupPosted,
};

use crate::{decide::AMOUNT_MAX, reading::each};

/// An amount that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be added: write an amount from 0.000001 to {}", .0.to_units(), AMOUNT_MAX.to_units())]
pub struct InvalidAmount(pub Money);

/// The request that adds `amount` (micro-units) to `account`, to be appended unguarded to the stream of requests. Its id
/// follows from the account and the top-up's id, so asking twice adds once.
pub fn topup_request(
    account: &AccountId,
    topup: &JobId,
    amount: Money,
    reference: Option<String>,
    source: &str,
    now: Time,
) -> Result<Draft, InvalidAmount> {
    if amount <= Money::ZERO || amount > AMOUNT_MAX {
        return Err(InvalidAmount(amount));
    }
    let subject = Subject::request(account, topup, "topup_posted");
    let cause = format!("{account}/{topup}");
    Ok(Draft::new(subject, TopupPosted { amount, reference }, &cause, source, now))
}

/// Whether the top-up `topup` of `account` stands in the log.
pub async fn is_booked(log: &SharedLog, account: &AccountId, topup: &JobId) -> Result<bool, log::Error> {
    let booked = Filter::scope_event(Domain::Account, account.as_str(), "topped_up");
    let mut found = false;
    each(log, booked, |stored| {
        if let Event::Account(account::Event::ToppedUp(event)) = &stored.event {
            found |= event.topup == *topup;
        }
    })
    .await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_twice_is_one_request() {
        let (account, topup) = (AccountId::new("acme").unwrap(), JobId::new("t1").unwrap());
        let ask = |amount, now| topup_request(&account, &topup, Money(amount), None, "operator", Time(now));
        assert_eq!(ask(5, 1).unwrap().meta.id, ask(5, 2).unwrap().meta.id);
        assert_eq!(ask(5, 1).unwrap().subject.to_string(), "lowland.request.acme.t1.topup_posted");
        assert!(ask(0, 1).is_err() && ask(-1, 1).is_err() && ask(AMOUNT_MAX.0 + 1, 1).is_err());
    }
}
