//! Two billings over one log, each stopped and started between any two steps, while jobs come, end and are paid for.
//! Whatever the order: the books balance, nobody overspends, everything is charged once.

use lowland_events::{Domain, stream};
use proptest::prelude::*;

use crate::{
    oracle,
    world::{Billing, ROUNDS_MAX, World, ending, run, tokens},
};

#[derive(Debug, Clone)]
enum Step {
    /// A job comes.
    Submit { account: u8, job: u8, model: u8, input: u64, output: u64 },
    /// A job ends, if it can.
    End { account: u8, job: u8, which: u8, input: u64, output: u64 },
    /// Money is added; the id may have been used.
    Topup { account: u8, id: u8, amount: i128 },
    /// A billing reads on a little.
    Read { billing: usize, most: usize },
    /// A billing decides on what it has read and on those requests that were delivered to it (a bit each), and commits
    /// only so many decisions.
    Decide { billing: usize, most: usize, delivered: u64 },
    /// A billing dies and starts anew.
    Crash { billing: usize },
    /// The next appends are stored but not answered.
    LoseAnswers { count: u32 },
    /// Time passes, until the log has forgotten the ids that it has seen.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let (account, job, billing) = (0..2_u8, 0..8_u8, 0..2_usize);
    prop_oneof![
        4 => (account.clone(), job.clone(), 0..4_u8, 0..600_u64, 0..600_u64).prop_map(
            |(account, job, model, input, output)| Step::Submit { account, job, model, input, output }
        ),
        4 => (account.clone(), job, 0..4_u8, 0..700_u64, 0..700_u64).prop_map(
            |(account, job, which, input, output)| Step::End { account, job, which, input, output }
        ),
        2 => (account, 0..4_u8, 1..1500_i128).prop_map(|(account, id, amount)| Step::Topup { account, id, amount }),
        5 => (billing.clone(), 1..8_usize).prop_map(|(billing, most)| Step::Read { billing, most }),
        6 => (billing.clone(), prop_oneof![Just(1), Just(2), Just(usize::MAX)], any::<u64>())
            .prop_map(|(billing, most, delivered)| Step::Decide { billing, most, delivered }),
        1 => Just(Step::Wait),
        1 => billing.prop_map(|billing| Step::Crash { billing }),
        1 => (1..3_u32).prop_map(|count| Step::LoseAnswers { count }),
    ]
}

const ACCOUNTS: [&str; 2] = ["acme", "zeta"];
const MODELS: [&str; 4] = ["writer", "odd", "free", "unpriced"];

async fn take(world: &mut World, billings: &mut [Billing; 2], step: Step) {
    match step {
        Step::Submit { account, job, model, input, output } => {
            let (account, job) = (ACCOUNTS[account as usize], format!("j{job}"));
            if world.last(account, &job).await.is_none() {
                world.submit(account, &job, MODELS[model as usize], tokens(input, output)).await;
            }
        }
        Step::End { account, job, which, input, output } => {
            end(world, ACCOUNTS[account as usize], &format!("j{job}"), which, input, output).await;
        }
        Step::Topup { account, id, amount } => {
            world.ask(ACCOUNTS[account as usize], &format!("t{id}"), amount).await;
        }
        Step::Read { billing, most } => billings[billing].read(most).await,
        Step::Decide { billing, most, delivered } => {
            billings[billing].decide(world, most, |place| delivered >> (place % 64) & 1 == 1).await;
        }
        Step::Wait => tokio::time::advance(2 * stream::log().duplicate_window).await,
        Step::Crash { billing } => billings[billing] = Billing::start(world).await,
        Step::LoseAnswers { count } => {
            world
                .memory
                .inject(lowland_events::log::memory::Faults { acks_lost: count, ..Default::default() });
        }
    }
}

/// A job that was never held delivered nothing; one that was may end in any way.
async fn end(world: &World, account: &str, job: &str, which: u8, input: u64, output: u64) {
    let chain = world.chain(Domain::Job, account, job).await;
    let ending = match chain.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["submitted"] => ending(2, tokens(0, 0)),
        ["submitted", "hold_placed"] => ending(which, tokens(input, output)),
        _ => return,
    };
    world.job_event(account, job, ending).await;
}

async fn race(steps: Vec<Step>) {
    let mut world = World::new().await;
    let mut billings = [Billing::start(&world).await, Billing::start(&world).await];
    for step in steps {
        // What a lost answer leaves open is only for billing to bear: the outside's own appends are answered.
        if !matches!(step, Step::Decide { .. } | Step::LoseAnswers { .. }) {
            world.memory.inject(lowland_events::log::memory::Faults::default());
        }
        take(&mut world, &mut billings, step).await;
    }
    world.memory.inject(lowland_events::log::memory::Faults::default());
    let [one, two] = &mut billings;
    settle(&world, one, two).await;
    let oracle = oracle::check(&world.stored().await);
    oracle.is_settled();
    oracle.agrees_with(one.state());
    assert_eq!(one.state(), two.state());
    assert_eq!(one.state(), Billing::start(&world).await.state(), "a replay gives the same state");
    let snapshot = serde_json::to_string(one.state()).unwrap();
    assert_eq!(&serde_json::from_str::<lowland_billing::State>(&snapshot).unwrap(), one.state());
}

async fn settle(world: &World, one: &mut Billing, two: &mut Billing) {
    for _ in 0..ROUNDS_MAX {
        if !(one.work(world).await | two.work(world).await) {
            return;
        }
    }
    panic!("there is always something left to decide");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_books_balance_whatever_happens(steps in proptest::collection::vec(step(), 1..80)) {
        run(race(steps));
    }
}
