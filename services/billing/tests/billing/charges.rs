//! Given jobs that have ended: what is charged, what goes back, and that it happens once.

use lowland_billing::ledger;
use lowland_events::{
    Domain, Event, Money, account,
    account::{Charged, HoldReleased},
    id::ModelId,
    job,
    meter::{Meter, Usage},
};

use crate::world::{Billing, World, ending, run, tokens};

async fn charges(world: &World) -> Vec<Charged> {
    let stored = world.stored().await.into_iter();
    let charged = stored.filter_map(|event| match event.event {
        Event::Account(account::Event::Charged(body)) => Some(body),
        _ => None,
    });
    charged.collect()
}

/// A world where `acme` had 1000 and `j1` holds what `bounds` costs.
async fn with_hold(model: &str, bounds: Usage) -> World {
    let world = World::with_money(1000).await;
    world.submit("acme", "j1", model, bounds).await;
    world.settle().await;
    world
}

#[test]
fn what_was_delivered_is_charged_whatever_the_ending() {
    for (which, outcome) in ["completed", "failed", "cancelled", "expired"].into_iter().enumerate() {
        run(async {
            let world = with_hold("writer", tokens(100, 100)).await;
            world.job_event("acme", "j1", ending(which as u8, tokens(20, 7))).await;
            world.settle().await;
            let charges = charges(&world).await;
            assert_eq!((charges[0].amount, charges[0].outcome.as_str()), (Money(27), outcome));
            assert_eq!(charges[0].released, Some(Money(173)), "the rest goes back with it");
            assert_eq!(world.money("acme").await, (973, 0));
            assert_eq!(
                world.chain(Domain::Account, "acme", "acme").await,
                ["topped_up", "hold_placed", "charged"]
            );
        });
    }
}

#[test]
fn nothing_delivered_is_nothing_charged() {
    run(async {
        let world = with_hold("writer", tokens(100, 100)).await;
        world.job_event("acme", "j1", ending(2, Usage::default())).await;
        world.settle().await;
        assert_eq!(
            world.chain(Domain::Account, "acme", "acme").await,
            ["topped_up", "hold_placed", "hold_released"]
        );
        assert_eq!(world.money("acme").await, (1000, 0));
    });
}

#[test]
fn never_more_than_the_hold_and_the_rest_is_waived() {
    run(async {
        let world = with_hold("writer", tokens(10, 10)).await;
        world.complete("acme", "j1", tokens(10, 25)).await;
        world.settle().await;
        let charges = charges(&world).await;
        assert_eq!((charges[0].amount, charges[0].waived), (Money(20), Money(15)));
        assert_eq!(world.money("acme").await, (980, 0));
        assert_eq!(charges[0].released, Some(Money::ZERO), "nothing is left to release");
    });
}

#[test]
fn rounded_once_and_up() {
    run(async {
        let world = with_hold("odd", tokens(100, 100)).await;
        world.complete("acme", "j1", tokens(1, 1)).await;
        world.settle().await;
        assert_eq!(charges(&world).await[0].amount, Money(2), "0.333333 + 0.777777 is 1.11111");
    });
}

#[test]
fn cached_tokens_have_a_price_of_their_own() {
    run(async {
        let world = with_hold("writer", tokens(100, 100)).await;
        let usage =
            Usage::of([(Meter::InputTokens, 10), (Meter::CachedTokens, 90), (Meter::OutputTokens, 5)]);
        world.complete("acme", "j1", usage).await;
        world.settle().await;
        assert_eq!(charges(&world).await[0].amount, Money(10 + 9 + 5));
    });
}

#[test]
fn a_free_job_leaves_its_usage_and_no_open_hold() {
    run(async {
        let world = with_hold("free", tokens(10, 10)).await;
        world.complete("acme", "j1", tokens(3, 4)).await;
        let billing = world.settle().await;
        assert_eq!(charges(&world).await[0].lines.len(), 2);
        let acme = billing.state().account(&crate::world::account("acme")).unwrap();
        assert!(acme.holds.is_empty() && acme.ended.is_empty());
    });
}

#[test]
fn the_price_is_that_of_submission_whatever_the_book_says_later() {
    run(async {
        let mut world = with_hold("writer", tokens(10, 10)).await;
        let dearer = crate::world::BOOK.replace("output_tokens = \"1\"", "output_tokens = \"1000\"");
        world.book = lowland_billing::prices::Book::parse(&dearer).unwrap();
        world.complete("acme", "j1", tokens(1, 1)).await;
        world.settle().await;
        assert_eq!(charges(&world).await[0].amount, Money(2));
    });
}

#[test]
fn a_log_of_earlier_builds_folds_to_the_same_balances() {
    run(async {
        let world = with_hold("writer", tokens(100, 100)).await;
        let held = job::Held { amount: Money(200), price_version: "v1".into() };
        world.job_event("acme", "j1", held).await;
        world.complete("acme", "j1", tokens(20, 7)).await;
        let acme = crate::world::account("acme");
        let of = |amount| (crate::world::job("j1"), Money(amount));
        let (job, amount) = of(27);
        let charged = Charged {
            job,
            model: ModelId::new("writer").unwrap(),
            amount,
            lines: Vec::new(),
            price_version: "v1".into(),
            outcome: "completed".into(),
            waived: Money::ZERO,
            released: None,
            postings: ledger::charge(&acme, amount, Money::ZERO),
        };
        world.account_event("charged", charged).await;
        assert_eq!(world.money("acme").await, (800, 173));
        let (job, amount) = of(173);
        let released = HoldReleased { job, amount, postings: ledger::release(&acme, amount) };
        world.account_event("hold_released", released).await;
        let billing = world.settle().await;
        assert_eq!(world.money("acme").await, (973, 0));
        assert_eq!(billing.state().misfits, 0);
        let stored = world.chain(Domain::Account, "acme", "acme").await;
        assert_eq!(stored, ["topped_up", "hold_placed", "charged", "hold_released"], "nothing more came");
    });
}

#[test]
fn two_billings_that_both_decide_charge_once() {
    run(async {
        let world = with_hold("writer", tokens(10, 10)).await;
        world.complete("acme", "j1", tokens(5, 5)).await;
        let (mut one, mut two) = (Billing::start(&world).await, Billing::start(&world).await);
        assert!(one.decide(&world, usize::MAX, |_| true).await);
        assert!(two.decide(&world, usize::MAX, |_| true).await, "it decided on what it had read");
        assert!(!one.work(&world).await && !two.work(&world).await, "and nothing is left");
        assert_eq!(charges(&world).await.len(), 1);
        assert_eq!(one.state(), two.state());
    });
}

#[test]
fn an_answer_that_is_lost_does_not_charge_twice() {
    run(async {
        let world = with_hold("writer", tokens(10, 10)).await;
        world.complete("acme", "j1", tokens(5, 5)).await;
        let mut billing = Billing::start(&world).await;
        let faults = lowland_events::log::memory::Faults { acks_lost: 1, ..Default::default() };
        world.memory.inject(faults);
        assert!(billing.decide(&world, usize::MAX, |_| true).await, "stored, and not answered");
        assert!(billing.decide(&world, usize::MAX, |_| true).await, "taken again before it is read");
        assert!(!billing.work(&world).await, "and nothing is left");
        assert_eq!(charges(&world).await.len(), 1);
        assert_eq!(world.money("acme").await, (990, 0));
    });
}
