//! What fairness means here, held by examples and by the bound that start-time fair queueing promises.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ANYWHERE: &Regions = &Vec::new();

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn job(n: u64) -> JobId {
    JobId::new(format!("j{n}")).unwrap()
}

/// Gives out the next job as the scheduler does, at `cost`.
fn serve(queue: &mut Queue, cost: u64) -> Option<(String, u64)> {
    let (id, job) = queue.draw(1).next(|_| true)?;
    let (id, ticket) = (id.clone(), job.as_str()[1..].parse().unwrap());
    queue.begin(&id, cost);
    queue.leave(&id, ANYWHERE, ticket);
    queue.tidy(&id);
    Some((id.to_string(), ticket))
}

#[test]
fn a_flood_does_not_hold_up_others() {
    let mut queue = Queue::default();
    (0..1000).for_each(|n| queue.enter(&account("flood"), ANYWHERE, n, job(n)));
    (0..10).for_each(|_| assert_eq!(serve(&mut queue, 100).unwrap().0, "flood"));
    queue.enter(&account("quiet"), ANYWHERE, 5000, job(5000));
    let waited = (0..).take_while(|_| serve(&mut queue, 100).unwrap().0 == "flood").count();
    assert!(waited <= 1, "the other account waited for {waited} jobs of the flood");
}

#[test]
fn an_account_is_served_in_its_own_order() {
    let mut queue = Queue::default();
    [3, 1, 2].into_iter().for_each(|n| queue.enter(&account("a"), ANYWHERE, n, job(n)));
    let served: Vec<u64> = std::iter::from_fn(|| serve(&mut queue, 5)).map(|(_, ticket)| ticket).collect();
    assert_eq!(served, [1, 2, 3]);
}

#[test]
fn idling_earns_nothing() {
    let mut queue = Queue::default();
    (0..100).for_each(|n| queue.enter(&account("busy"), ANYWHERE, n, job(n)));
    (0..50).for_each(|_| assert!(serve(&mut queue, 100).is_some()));
    (200..300).for_each(|n| queue.enter(&account("late"), ANYWHERE, n, job(n)));
    let late = (0..20).filter(|_| serve(&mut queue, 100).unwrap().0 == "late").count();
    assert!((9..=11).contains(&late), "late was served {late} of 20 times");
}

#[test]
fn what_was_not_used_is_given_back() {
    let mut queue = Queue::default();
    for n in 0..10 {
        queue.enter(&account("a"), ANYWHERE, n, job(n));
        queue.enter(&account("b"), ANYWHERE, n, job(n));
    }
    assert_eq!(serve(&mut queue, 1000).unwrap().0, "a");
    assert_eq!(serve(&mut queue, 10).unwrap().0, "b");
    queue.end(&account("a"), 1000, 5);
    assert_eq!(serve(&mut queue, 10).unwrap().0, "a", "it used 5 where b has 10 charged");
}

#[test]
fn a_busy_region_holds_up_nobody_else() {
    let region = |name: &str| vec![RegionId::new(name).unwrap()];
    let mut queue = Queue::default();
    queue.enter(&account("a"), &region("full"), 1, job(1));
    queue.enter(&account("a"), &region("free"), 2, job(2));
    queue.enter(&account("b"), &region("full"), 3, job(3));
    let mut draw = queue.draw(10);
    let admits = |regions: &Regions| regions[0].as_str() == "free";
    assert_eq!(draw.next(admits), Some((&account("a"), &job(2))));
    assert_eq!(draw.next(admits), None);
}

#[test]
fn nothing_is_kept_of_who_has_gone() {
    let mut queue = Queue::default();
    queue.enter(&account("a"), ANYWHERE, 1, job(1));
    queue.begin(&account("a"), 10);
    queue.leave(&account("a"), ANYWHERE, 1);
    queue.tidy(&account("a"));
    assert!(!queue.is_idle(), "its job runs");
    queue.end(&account("a"), 10, 7);
    queue.tidy(&account("a"));
    assert!(queue.is_idle());
}

proptest! {
    /// While two accounts both wait without a break, the service that they were given differs by at most twice the
    /// dearest job (start-time fair queueing's bound), however unlike their jobs are.
    #[test]
    fn backlogged_accounts_get_equal_service(
        costs in proptest::collection::vec((1_u64..100, 1_u64..1000, 1_u64..500), 30..120)
    ) {
        let mut queue = Queue::default();
        let names = ["a", "b", "c"];
        for (n, _) in costs.iter().enumerate() {
            for name in names {
                queue.enter(&account(name), ANYWHERE, n as u64, job(n as u64));
            }
        }
        let mut given: BTreeMap<String, u64> = names.map(|name| (name.to_owned(), 0)).into();
        let mut next: BTreeMap<String, usize> = BTreeMap::new();
        let dearest = 1000;
        loop {
            let (id, _) = queue.draw(1).next(|_| true).unwrap();
            let id = id.clone();
            let turn = next.entry(id.to_string()).or_default();
            let (a, b, c) = costs[*turn];
            let cost = match id.as_str() { "a" => a, "b" => b, _ => c };
            queue.begin(&id, cost);
            queue.leave(&id, ANYWHERE, *turn as u64);
            queue.end(&id, cost, cost);
            *turn += 1;
            *given.get_mut(id.as_str()).unwrap() += cost;
            let (least, most) = (given.values().min().unwrap(), given.values().max().unwrap());
            prop_assert!(most - least <= 2 * dearest, "{given:?}");
            if *turn == costs.len() {
                break;
            }
        }
    }

    /// Drawing plans exactly what serving one by one would do.
    #[test]
    fn a_draw_of_many_is_many_draws_of_one(
        jobs in proptest::collection::vec((0_u8..5, 1_u64..100), 1..60),
        most in 1_usize..20,
    ) {
        let mut queue = Queue::default();
        let cost = |ticket: u64| jobs[usize::try_from(ticket).unwrap()].1;
        for (n, (who, _)) in jobs.iter().enumerate() {
            queue.enter(&account(&format!("a{who}")), ANYWHERE, n as u64, job(n as u64));
        }
        let mut planned = Vec::new();
        let mut draw = queue.draw(most);
        while planned.len() < most {
            let Some((id, job)) = draw.next(|_| true) else { break };
            let ticket = job.as_str()[1..].parse().unwrap();
            draw.charge(cost(ticket));
            planned.push((id.to_string(), ticket));
        }
        let mut served = Vec::new();
        while served.len() < most {
            let Some((_, job)) = queue.draw(1).next(|_| true) else { break };
            let ticket = job.as_str()[1..].parse().unwrap();
            served.extend(serve(&mut queue, cost(ticket)));
        }
        prop_assert_eq!(planned, served);
    }
}
