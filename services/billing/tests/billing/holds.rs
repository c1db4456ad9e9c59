//! Given jobs that wait: what is set aside, who is rejected, and why.

use lowland_events::{Domain, Event, Money, account, job, job::ProblemCode};

use crate::world::{Billing, World, run, tokens};

async fn problem(world: &World, of: &str, name: &str) -> job::Problem {
    let stored = world.stored().await;
    let rejected = stored.into_iter().find_map(|e| match e.event {
        Event::Job(job::Event::Rejected(body))
            if e.subject.scope() == of && e.subject.aggregate() == name =>
        {
            Some(body)
        }
        _ => None,
    });
    rejected.expect("the job was rejected").problem
}

#[test]
fn the_most_that_a_job_can_cost_is_set_aside() {
    run(async {
        let world = World::with_money(1000).await;
        world.submit("acme", "j1", "writer", tokens(100, 50)).await;
        world.settle().await;
        assert_eq!(world.money("acme").await, (850, 150));
        assert_eq!(world.chain(Domain::Job, "acme", "j1").await, ["submitted", "hold_placed"]);
        let stored = world.stored().await;
        let placed = stored.last().unwrap();
        let Event::Account(account::Event::HoldPlaced(body)) = &placed.event else { panic!("{placed:?}") };
        assert_eq!((body.amount, body.price_version.as_str()), (Money(150), "v1"));
        let submitted = stored.iter().find(|event| event.event.name() == "submitted").unwrap();
        assert_eq!(placed.meta.causation, Some(submitted.meta.id));
        assert_eq!(placed.meta.traceparent, submitted.meta.traceparent);
    });
}

#[test]
fn no_money_is_said_with_what_is_needed_and_what_is_there() {
    run(async {
        let world = World::with_money(100).await;
        world.submit("acme", "j1", "writer", tokens(60, 0)).await;
        world.submit("acme", "j2", "writer", tokens(60, 0)).await;
        world.submit("acme", "j3", "writer", tokens(40, 0)).await;
        world.settle().await;
        assert_eq!(world.chain(Domain::Job, "acme", "j1").await, ["submitted", "hold_placed"]);
        assert_eq!(world.chain(Domain::Job, "acme", "j2").await, ["submitted", "rejected"]);
        let problem = problem(&world, "acme", "j2").await;
        assert_eq!(problem.code, ProblemCode::InsufficientFunds);
        for part in ["up to 0.000060", "has 0.0000", "max_tokens"] {
            assert!(problem.message.contains(part), "{}", problem.message);
        }
        assert_eq!(world.money("acme").await, (0, 100), "j3 fitted beside j1");
    });
}

#[test]
fn an_account_that_nobody_knows_has_no_money_but_may_run_what_is_free() {
    run(async {
        let world = World::new().await;
        world.submit("new", "j1", "writer", tokens(1, 0)).await;
        world.submit("new", "j2", "free", tokens(1, 1)).await;
        world.settle().await;
        assert_eq!(problem(&world, "new", "j1").await.code, ProblemCode::InsufficientFunds);
        assert_eq!(world.chain(Domain::Job, "new", "j2").await, ["submitted", "hold_placed"]);
    });
}

#[test]
fn no_price_is_said_with_what_has_one() {
    run(async {
        let world = World::with_money(100).await;
        world.submit("acme", "j1", "painter", tokens(1, 1)).await;
        world.settle().await;
        let problem = problem(&world, "acme", "j1").await;
        assert_eq!(problem.code, ProblemCode::NoPrice);
        assert!(
            problem.message.contains("\"painter\"") && problem.message.contains("writer"),
            "{}",
            problem.message
        );
    });
}

#[test]
fn a_job_that_ended_before_it_was_held_costs_nothing() {
    run(async {
        let world = World::with_money(100).await;
        world.submit("acme", "j1", "writer", tokens(10, 0)).await;
        let cancelled = job::Cancelled { reason: "changed my mind".into(), usage: tokens(0, 0) };
        world.job_event("acme", "j1", cancelled).await;
        world.settle().await;
        assert_eq!(world.chain(Domain::Account, "acme", "acme").await, ["topped_up"]);
    });
}

#[test]
fn what_is_held_for_a_job_that_has_just_ended_goes_back() {
    run(async {
        let world = World::with_money(100).await;
        world.submit("acme", "j1", "writer", tokens(10, 0)).await;
        let mut billing = Billing::start(&world).await;
        let cancelled = job::Cancelled { reason: "changed my mind".into(), usage: tokens(0, 0) };
        world.job_event("acme", "j1", cancelled).await;
        assert!(billing.decide(&world, usize::MAX, |_| true).await, "it has not read of the end");
        assert_eq!(world.money("acme").await, (90, 10));
        world.settle().await;
        assert_eq!(
            world.chain(Domain::Account, "acme", "acme").await,
            ["topped_up", "hold_placed", "hold_released"]
        );
        assert_eq!(world.money("acme").await, (100, 0));
    });
}

#[test]
fn many_jobs_go_in_batches_oldest_first() {
    run(async {
        let world = World::with_money(120).await;
        for n in 0..130 {
            world.submit("acme", &format!("j{n}"), "writer", tokens(1, 0)).await;
        }
        world.settle().await;
        assert_eq!(world.money("acme").await, (0, 120));
        for (n, end) in [(0, "hold_placed"), (119, "hold_placed"), (120, "rejected"), (129, "rejected")] {
            assert_eq!(world.chain(Domain::Job, "acme", &format!("j{n}")).await, ["submitted", end], "j{n}");
        }
    });
}

#[test]
fn money_that_is_about_to_come_back_is_waited_for() {
    run(async {
        let world = World::with_money(100).await;
        world.submit("acme", "j1", "writer", tokens(100, 0)).await;
        world.settle().await;
        world.submit("acme", "j2", "writer", tokens(90, 0)).await;
        world.complete("acme", "j1", tokens(10, 0)).await;
        world.settle().await;
        assert_eq!(world.chain(Domain::Job, "acme", "j2").await, ["submitted", "hold_placed"]);
        assert_eq!(world.money("acme").await, (0, 90));
    });
}
