//! Logs with one thing wrong in each, and that the audit says so: an oracle that cannot object is none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lowland_events::{
    Event, Money, Subject, Time,
    account::{ChargeLine, Charged, HoldPlaced, HoldReleased, Posting, ToppedUp},
    envelope::{EventId, Meta},
    id::{AccountId, InstanceId, JobId, ModelId, WorkerId},
    job::{
        Assigned, AttemptFailed, Cancelled, Completed, Finish, Output, Problem, ProblemCode, Started,
        Submitted, Task,
    },
    meter::Rates,
    request::Posted,
};

use super::*;

/// What everything costs; a cached token what an input token costs.
const BOOK: &str = "[[version]]\nid = \"v\"\neffective = \"1970-01-01T00:00:00Z\"\n\
                    [version.models.\"*\"]\ninput_tokens = \"1\"\noutput_tokens = \"3\"\n";
/// What job `j` may cost, with 10 tokens read and 5 written at most: 10 + 15.
const HOLD: i128 = 25;
/// What it costs, with 3 written: 10 + 9.
const PRICE: i128 = 19;

/// A log that is made up, event by event.
struct Told {
    audit: Audit,
    sequence: u64,
}

impl Told {
    /// An account with money, and what job `j` was asked for.
    fn begun() -> Self {
        let audit = Audit { ledger: Ledger::priced(Prices::read(BOOK)), ..Audit::default() };
        let mut told = Self { audit, sequence: 0 };
        let asked = told.stored(Subject::request(&account(), &id("j"), "posted"), Posted::default());
        told.audit.request(&asked);
        told.audit.topups.insert(("a".into(), "t".into()), 1000);
        told.account(topped_up("t", 1000))
    }

    fn stored(&mut self, subject: Subject, event: impl Into<Event>) -> Stored {
        self.sequence += 1;
        let event = event.into();
        let cause = self.sequence.to_string();
        Stored {
            stream: stream::LOG.into(),
            sequence: self.sequence,
            stored_at: Time(1),
            meta: Meta {
                id: EventId::derived(&cause, "test", 0),
                time: Time(1),
                source: "test".into(),
                correlation: None,
                causation: None,
                traceparent: None,
            },
            subject,
            event,
        }
    }

    fn job(self, event: impl Into<Event>) -> Self {
        self.job_of("j", event)
    }

    fn job_of(mut self, job: &str, event: impl Into<Event>) -> Self {
        let event = event.into();
        let subject = Subject::job(&account(), &id(job), event.name());
        let stored = self.stored(subject, event);
        self.audit.take(&stored);
        self
    }

    fn account(mut self, event: impl Into<Event>) -> Self {
        let event = event.into();
        let subject = Subject::account(&account(), event.name());
        let stored = self.stored(subject, event);
        self.audit.take(&stored);
        self
    }

    /// As far as the first attempt's beginning.
    fn running() -> Self {
        Self::begun().job(submitted()).account(hold(HOLD)).job(assigned(1)).job(started(1))
    }

    /// As far as the job's good end.
    fn ended() -> Self {
        Self::running().job(completed(1, 3))
    }

    /// With everything paid.
    fn paid() -> Self {
        Self::ended().account(charge(PRICE))
    }

    /// What is asked at the end.
    fn closed(self) -> Audit {
        let missing = [self.audit.unfinished(), self.audit.unpaid()].concat();
        assert!(missing.is_empty(), "{missing:?}");
        self.audit.holds_at_the_end();
        self.audit
    }
}

fn account() -> AccountId {
    AccountId::new("a").unwrap()
}

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

fn model() -> ModelId {
    ModelId::new("m").unwrap()
}

fn instance() -> InstanceId {
    InstanceId::new("i").unwrap()
}

fn usage(read: u64, written: u64) -> Usage {
    Usage::of([(Meter::InputTokens, read), (Meter::OutputTokens, written)])
}

fn submitted() -> Event {
    Event::Job(lowland_events::job::Event::Submitted(submission()))
}

fn submission() -> Submitted {
    Submitted {
        model: model(),
        task: Task::Completion { prompt: "0123456789".into() },
        sampling: None,
        regions: Vec::new(),
        deadline: Time(1_000_000),
        bounds: usage(10, 5),
        request_sequence: 1,
    }
}

fn assigned(attempt: u32) -> Assigned {
    Assigned {
        worker: WorkerId::new("w").unwrap(),
        instance: instance(),
        attempt,
        lease_ms: 1,
        job: submission(),
        price_version: "v".into(),
        considered: Vec::new(),
        considered_more: 0,
        decided_on: Vec::new(),
    }
}

fn started(attempt: u32) -> Started {
    Started { instance: instance(), attempt, resumed_tokens: 0 }
}

fn lost(attempt: u32) -> AttemptFailed {
    let problem = Problem { code: ProblemCode::WorkerLost, message: "gone".into(), field: None };
    AttemptFailed { instance: instance(), attempt, problem, retry: true }
}

fn completed(attempt: u32, written: usize) -> Completed {
    let output = Output { text: "x".repeat(written), tokens: vec![1; written], ..Output::default() };
    let usage = usage(10, written as u64);
    Completed { instance: instance(), attempt, finish: Finish::Stop, output, usage }
}

fn transfer(from: &str, to: &str, amount: i128) -> Vec<Posting> {
    [(from, amount), (to, -amount)]
        .map(|(ledger, amount)| Posting { ledger: ledger.into(), amount: Money(amount) })
        .to_vec()
}

fn topped_up(topup: &str, amount: i128) -> ToppedUp {
    let postings = transfer("cash", "customer:a", amount);
    ToppedUp { topup: id(topup), amount: Money(amount), reference: None, postings }
}

fn hold(amount: i128) -> HoldPlaced {
    let rates =
        [(Meter::InputTokens, 1_000_000), (Meter::CachedTokens, 1_000_000), (Meter::OutputTokens, 3_000_000)];
    HoldPlaced {
        job: id("j"),
        model: model(),
        amount: Money(amount),
        price_version: "v".into(),
        rates: Rates(rates.map(|(meter, rate)| (meter, Money(rate))).into()),
        bounds: usage(10, 5),
        postings: transfer("customer:a", "held:a", amount),
    }
}

fn charge(amount: i128) -> Charged {
    let line = |meter, quantity, rate| ChargeLine { meter, quantity, rate: Money(rate) };
    Charged {
        job: id("j"),
        model: model(),
        amount: Money(amount),
        lines: vec![line(Meter::InputTokens, 10, 1_000_000), line(Meter::OutputTokens, 3, 3_000_000)],
        price_version: "v".into(),
        outcome: "completed".into(),
        waived: Money::ZERO,
        released: Some(Money(HOLD - amount)),
        postings: postings(amount),
    }
}

/// Of the whole hold, `amount` is earned and the rest goes back.
fn postings(amount: i128) -> Vec<Posting> {
    let line = |ledger: &str, amount| Posting { ledger: ledger.into(), amount: Money(amount) };
    vec![line("held:a", HOLD), line("revenue", -amount), line("customer:a", amount - HOLD)]
}

fn release(amount: i128) -> HoldReleased {
    HoldReleased { job: id("j"), amount: Money(amount), postings: transfer("held:a", "customer:a", amount) }
}

/// Holds that the audit objects to what `wrong` tells, saying `why`.
fn objects(why: &str, wrong: impl FnOnce() -> Audit) {
    let said = catch_unwind(AssertUnwindSafe(|| drop(wrong()))).expect_err(why);
    let text = said.downcast_ref::<String>().cloned();
    let text =
        text.or_else(|| said.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    assert!(text.contains(why), "it was to say {why:?}, and said {text:?}");
}

#[test]
fn a_good_log_passes() {
    let audit = Told::paid().closed();
    let account = &audit.ledger.accounts()["a"];
    assert_eq!((account.available, account.set_aside, account.charged), (1000 - PRICE, 0, PRICE));
    assert_eq!(audit.paid_once("a", "j", "completed"), &usage(10, 3));
}

#[test]
fn a_second_attempt_passes() {
    let told = Told::running().job(lost(1)).job(assigned(2)).job(started(2)).job(completed(2, 3));
    told.account(charge(PRICE)).closed();
}

#[test]
fn two_ends() {
    objects("goes on after its end", || Told::paid().job(completed(1, 3)).closed());
    let cancelled = Cancelled { reason: "late".into(), usage: usage(10, 3) };
    objects("goes on after its end", || Told::ended().job(cancelled).closed());
    objects("goes on after its end", || Told::paid().job(assigned(2)).closed());
}

#[test]
fn no_end() {
    objects("has not ended", || Told::running().closed());
    objects("nothing came of it", || Told::begun().closed());
}

#[test]
fn a_stale_attempt_speaks() {
    let again = || Told::running().job(lost(1)).job(assigned(2)).job(started(2));
    objects("attempt 1 speaks", || again().job(completed(1, 3)).closed());
    objects("attempt 1 speaks", || again().job(started(1)).closed());
    objects("attempt 1 speaks", || Told::running().job(lost(1)).job(completed(1, 3)).closed());
    objects("begins twice", || Told::running().job(started(1)).closed());
}

#[test]
fn attempts_out_of_order() {
    objects("counts its attempts", || Told::running().job(lost(1)).job(assigned(3)).closed());
    objects("is assigned", || Told::running().job(assigned(2)).closed());
    objects("is assigned", || Told::begun().job(submitted()).job(assigned(1)).closed());
}

#[test]
fn charged_twice() {
    objects("below zero", || Told::paid().account(charge(PRICE)).closed());
    // Another job's hold would pay for it.
    let beside = || Told::paid().job_of("k", submitted()).account(HoldPlaced { job: id("k"), ..hold(HOLD) });
    objects("charged after its hold was closed", || beside().account(charge(PRICE)).closed());
    objects("below zero", || Told::ended().account(charge(PRICE)).account(charge(PRICE)).closed());
}

#[test]
fn charged_without_a_hold() {
    let begun = || Told::begun().job(submitted());
    objects("below zero", || begun().account(charge(PRICE)).closed());
    let nothing = transfer("held:a", "revenue", 0);
    let free = Charged { amount: Money::ZERO, released: Some(Money::ZERO), postings: nothing, ..charge(0) };
    objects("charged without a hold", || begun().account(free).closed());
}

#[test]
fn a_charge_is_missing() {
    objects("its hold is open", || Told::ended().closed());
    objects("charged for what was delivered", || Told::ended().account(release(HOLD)).closed());
}

#[test]
fn charged_before_its_end() {
    objects("charged before its end", || Told::running().account(charge(PRICE)).closed());
}

#[test]
fn a_wrong_price() {
    for wrong in [PRICE - 1, PRICE + 1] {
        objects("costs its price", || Told::ended().account(charge(wrong)).closed());
    }
    let mut more = charge(PRICE);
    more.lines[1].quantity = 4;
    objects("charged for what was delivered", || Told::ended().account(more).closed());
    let waived = Charged { waived: Money(1), ..charge(PRICE) };
    objects("\"j\")", || Told::ended().account(waived).closed());
    let mut line = charge(PRICE);
    line.lines[0].rate = Money(2_000_000);
    objects("at the rates of its hold", || Told::ended().account(line).closed());
}

#[test]
fn a_wrong_version_of_the_price_book() {
    let begun = || Told::begun().job(submitted());
    let version = HoldPlaced { price_version: "u".into(), ..hold(HOLD) };
    objects("the version in force", || begun().account(version).closed());
    let mut rates = hold(HOLD);
    rates.rates.0.insert(Meter::OutputTokens, Money(2_000_000));
    objects("the rates of m", || begun().account(rates).closed());
}

#[test]
fn a_wrong_hold() {
    let begun = || Told::begun().job(submitted());
    objects("the most it can cost", || begun().account(hold(HOLD - 1)).closed());
    objects("is held twice", || begun().account(hold(HOLD)).account(hold(HOLD)).closed());
    objects("held before it is submitted", || Told::begun().account(hold(HOLD)).closed());
    objects("knows its hold", || {
        begun().account(hold(HOLD)).job(Assigned { price_version: "u".into(), ..assigned(1) }).closed()
    });
    objects("assigned without a hold", || begun().job(assigned(1)).closed());
}

#[test]
fn the_rest_does_not_go_back() {
    let kept =
        |released| Charged { released, postings: transfer("held:a", "revenue", PRICE), ..charge(PRICE) };
    objects("exactly the rest", || Told::ended().account(kept(None)).closed());
    objects("exactly the rest", || Told::ended().account(kept(Some(Money::ZERO))).closed());
    objects("below zero", || Told::paid().account(release(HOLD - PRICE)).closed());
}

#[test]
fn unbalanced_postings() {
    let mut lopsided = charge(PRICE);
    lopsided.postings[1].amount += Money(1);
    objects("one transfer", || Told::ended().account(lopsided).closed());
    let mut astray = charge(PRICE);
    astray.postings[0].ledger = "held:b".into();
    objects("one transfer", || Told::ended().account(astray).closed());
    let mut alone = topped_up("t2", 5);
    alone.postings.pop();
    objects("one transfer", || Told::begun().account(alone).closed());
}

#[test]
fn topups_lost_and_doubled() {
    objects("is entered twice", || Told::paid().account(topped_up("t", 1000)).closed());
    objects("is entered, once", || Told::paid().account(topped_up("nobodys", 5)).closed());
    objects("was not entered", || {
        let mut told = Told::paid();
        told.audit.topups.insert(("a".into(), "t2".into()), 5);
        told.closed()
    });
}

#[test]
fn money_that_is_not_there() {
    objects("below zero", || {
        let mut told = Told { audit: Audit::default(), sequence: 1 };
        told = told.job(submitted());
        told.account(hold(HOLD)).audit
    });
}

#[test]
fn more_than_was_allowed() {
    objects("used", || Told::running().job(completed(1, 6)).closed());
    let short = Completed { usage: usage(10, 2), ..completed(1, 3) };
    objects("counts what it wrote", || Told::running().job(short).closed());
}

#[test]
fn a_request_that_was_anothers() {
    let mut other = submission();
    other.request_sequence = 2;
    objects("which is another's", || {
        let told = Told::begun().job(other.clone()).account(hold(HOLD));
        let told = told.job(Assigned { job: other, ..assigned(1) }).job(started(1)).job(completed(1, 3));
        told.account(charge(PRICE)).closed()
    });
}
