//! What billing counts: decisions that this process stored, and the money that they moved.

use lowland_events::{Event, Money, account, job, request};
use lowland_host::{
    Decision,
    figures::{Counter, Description, Figures, Gauge},
};

use crate::state::State;

static EVENTS: Description = Description::counter(
    "lowland_billing_events_total",
    &["event"],
    "Events that billing stored: topped_up, hold_placed, charged, hold_released, rejected.",
);
static CHARGED: Description = Description::counter(
    "lowland_billing_charged_micros_total",
    &[],
    "Money that was charged, in micro-units.",
);
static WAIVED: Description = Description::counter(
    "lowland_billing_waived_micros_total",
    &[],
    "Money that was waived since the price went beyond the hold, in micro-units.",
);
static TOPPED_UP: Description = Description::counter(
    "lowland_billing_topped_up_micros_total",
    &[],
    "Money that came in, in micro-units.",
);
static REJECTIONS: Description = Description::counter(
    "lowland_billing_rejections_total",
    &["code"],
    "Jobs and top-ups that were rejected, by the problem's code.",
);
static LATE: Description = Description::counter(
    "lowland_billing_decisions_late_total",
    &[],
    "Decisions that were not stored since an account or job had moved on: decided again on what is true by then.",
);
static ACCOUNTS_DUE: Description = Description::gauge(
    "lowland_billing_accounts_due",
    &[],
    "Customers with jobs that wait for a hold, or holds that are to be closed.",
);
static TOPUPS_PENDING: Description = Description::gauge(
    "lowland_billing_topups_pending",
    &[],
    "Top-ups that were asked for and have no outcome yet.",
);
static MISFITS: Description = Description::gauge(
    "lowland_billing_events_misfit",
    &[],
    "Events of accounts that did not fit the ledger and changed nothing, since the log began: a part of the state, so every billing says the same.",
);

/// All of them.
pub static TABLE: [&Description; 9] =
    [&EVENTS, &CHARGED, &WAIVED, &TOPPED_UP, &REJECTIONS, &LATE, &ACCOUNTS_DUE, &TOPUPS_PENDING, &MISFITS];

/// What billing counts.
pub(crate) struct Counted {
    figures: Figures,
    charged: Counter,
    waived: Counter,
    topped_up: Counter,
    late: Counter,
    accounts_due: Gauge,
    topups_pending: Gauge,
    misfits: Gauge,
}

impl Counted {
    pub(crate) fn new(figures: &Figures) -> Self {
        Self {
            charged: figures.counter(&CHARGED, &[]),
            waived: figures.counter(&WAIVED, &[]),
            topped_up: figures.counter(&TOPPED_UP, &[]),
            late: figures.counter(&LATE, &[]),
            accounts_due: figures.gauge(&ACCOUNTS_DUE, &[]),
            topups_pending: figures.gauge(&TOPUPS_PENDING, &[]),
            misfits: figures.gauge(&MISFITS, &[]),
            figures: figures.clone(),
        }
    }

    /// Decisions, and whether each was stored.
    pub(crate) fn decided<'a>(&self, decisions: impl Iterator<Item = (&'a Decision, bool)>) {
        for (decision, stored) in decisions {
            if stored {
                decision.drafts().for_each(|draft| self.stored(&draft.event));
            } else {
                self.late.add(1);
            }
        }
    }

    /// What is known after a round.
    pub(crate) fn look(&self, state: &State, topups_pending: usize) {
        self.accounts_due.set_to(state.due().len());
        self.topups_pending.set_to(topups_pending);
        self.misfits.set_to(usize::try_from(state.misfits).unwrap_or(usize::MAX));
    }

    fn stored(&self, event: &Event) {
        self.figures.counter(&EVENTS, &[event.name()]).add(1);
        match event {
            Event::Account(account::Event::Charged(charged)) => {
                self.charged.add(micros(charged.amount));
                self.waived.add(micros(charged.waived));
            }
            Event::Account(account::Event::ToppedUp(topped_up)) => {
                self.topped_up.add(micros(topped_up.amount));
            }
            Event::Job(job::Event::Rejected(rejected)) => self.rejected(&rejected.problem),
            Event::Request(request::Event::Rejected(rejected)) => self.rejected(&rejected.problem),
            _ => {}
        }
    }

    fn rejected(&self, problem: &job::Problem) {
        self.figures.counter(&REJECTIONS, &[problem.code.as_str()]).add(1);
    }
}

/// What counters hold; 18 trillion units are beyond them.
fn micros(amount: Money) -> u64 {
    u64::try_from(amount.0).unwrap_or(if amount.0 < 0 { 0 } else { u64::MAX })
}
