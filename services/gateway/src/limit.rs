//! How many requests are served at once, in all and for each account.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use lowland_events::id::AccountId;
use lowland_host::figures::{Counter, Figures, Gauge, Held};

use crate::{error::ApiError, figures::Counted};

/// Counts requests that are being served. Clones share the counts.
#[derive(Clone)]
pub struct Limits {
    open: Arc<Mutex<Open>>,
    all_max: usize,
    account_max: usize,
    all_full: Counter,
    account_full: Counter,
    open_requests: Gauge,
}

#[derive(Default)]
struct Open {
    all: usize,
    accounts: HashMap<AccountId, usize>,
}

/// A request that is being served, until dropped.
pub struct Permit {
    limits: Limits,
    account: AccountId,
    _counted: Held,
}

impl Limits {
    /// At most `all_max` requests at once, `account_max` for one account.
    #[must_use]
    pub fn new(all_max: usize, account_max: usize, figures: &Figures) -> Self {
        let [all_full, account_full] = ["requests", "account_requests"].map(|name| figures.bound(name));
        let open_requests = Counted::new(figures).requests_open;
        Self { open: Arc::default(), all_max, account_max, all_full, account_full, open_requests }
    }

    /// Takes in a request of `account`, unless too many are being served.
    pub fn enter(&self, account: &AccountId) -> Result<Permit, ApiError> {
        let mut open = self.lock();
        let of_account = open.accounts.get(account).copied().unwrap_or(0);
        if of_account >= self.account_max {
            self.account_full.add(1);
            return Err(account_full(self.account_max));
        }
        if open.all >= self.all_max {
            self.all_full.add(1);
            return Err(all_full());
        }
        open.all += 1;
        open.accounts.insert(account.clone(), of_account + 1);
        let _counted = self.open_requests.hold();
        Ok(Permit { limits: self.clone(), account: account.clone(), _counted })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.limits.lock();
        open.all -= 1;
        if let Some(count) = open.accounts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.accounts.remove(&self.account);
            }
        }
    }
}

fn account_full(most: usize) -> ApiError {
    let message = format!("your account has {most} requests open, as many as it may; wait for one to end");
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "concurrency_limit_exceeded", message).after(1)
}

fn all_full() -> ApiError {
    let message = "the gateway has as many requests open as it can; try again in a moment";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    #[test]
    fn one_account_cant_take_all() {
        let limits = Limits::new(3, 2, &Figures::default());
        let held = [limits.enter(&account("a")).unwrap(), limits.enter(&account("a")).unwrap()];
        assert_eq!(limits.enter(&account("a")).err().unwrap().status.as_u16(), 429);
        let other = limits.enter(&account("b")).unwrap();
        assert_eq!(limits.enter(&account("c")).err().unwrap().status.as_u16(), 503);
        drop(other);
        assert!(limits.enter(&account("c")).is_ok());
        drop(held);
        assert!(limits.enter(&account("a")).is_ok());
    }

    #[test]
    fn accounts_without_requests_take_no_room() {
        let limits = Limits::new(9, 9, &Figures::default());
        drop(limits.enter(&account("a")).unwrap());
        assert!(limits.lock().accounts.is_empty());
        assert_eq!(limits.lock().all, 0);
    }
}
