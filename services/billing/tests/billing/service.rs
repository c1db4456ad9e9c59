//! The service as it runs, over the in-memory log: two of them at once, as when one is being replaced.

use std::time::Duration;

use lowland_billing::{Billing, Config};
use lowland_events::{
    Domain, EventId, Filter, Subject,
    envelope::Headers,
    job::ProblemCode,
    log::{Entry, memory::Faults},
    request::Rejected,
    stream,
};
use lowland_host::{Host, Service, Settings};
use tokio_util::sync::CancellationToken;

use crate::{
    oracle,
    world::{BOOK, World, account, job, run, tokens},
};

/// Longest wait for something that must come, on the paused clock.
const PATIENCE: Duration = Duration::from_secs(120);

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), lowland_host::Error>>,
    host: Host,
}

fn start(world: &World, prices: &std::path::Path) -> Running {
    let path = prices.display().to_string();
    let mut settings = Settings::from_lookup(move |name| (name == "LOWLAND_PRICES").then(|| path.clone()));
    let config: Config = Billing::config(&mut settings);
    settings.finish().unwrap();
    let host = Host::over(world.log.clone(), "billing");
    let task = tokio::spawn(Billing::serve(host.clone(), config));
    Running { stop: host.stop.clone(), task, host }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Waits until the last event of the job, its hold counted, is `name`.
async fn until(world: &World, of: &str, job: &str, name: &str) {
    let wanted = async {
        while world.chain(Domain::Job, of, job).await.last().is_none_or(|last| last != name) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("{job} never became {name}"));
}

async fn until_money(world: &World, of: &str, money: (i128, i128)) {
    let wanted = async {
        while world.money(of).await != money {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, wanted).await.is_err() {
        panic!("{of} has {:?}, not {money:?}", world.money(of).await);
    }
}

fn prices() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    std::fs::write(&path, BOOK).unwrap();
    (folder, path)
}

#[test]
fn from_topup_to_charge_with_lost_answers_and_deliveries() {
    run(async {
        let (_folder, path) = prices();
        let mut world = World::new().await;
        let (one, two) = (start(&world, &path), start(&world, &path));
        world.memory.inject(Faults { acks_lost: 0, deliveries_lost: 1 });
        world.topup("acme", "t1", 1000).await;
        until_money(&world, "acme", (1000, 0)).await;
        for n in 0..20 {
            world.submit("acme", &format!("j{n}"), "writer", tokens(40, 20)).await;
        }
        until(&world, "acme", "j0", "hold_placed").await;
        until(&world, "acme", "j19", "rejected").await;
        assert_eq!(world.money("acme").await, (1000 - 16 * 60, 16 * 60));
        for n in 0..16 {
            world.complete("acme", &format!("j{n}"), tokens(10, 10)).await;
        }
        world.memory.inject(Faults { acks_lost: 2, deliveries_lost: 0 });
        until_money(&world, "acme", (1000 - 16 * 20, 0)).await;
        assert!(one.host.health.problem().is_none() || two.host.health.problem().is_none());
        one.stop().await;
        two.stop().await;
        let oracle = oracle::check(&world.stored().await);
        oracle.is_settled();
    });
}

#[test]
fn a_service_that_was_away_catches_up() {
    run(async {
        let (_folder, path) = prices();
        let mut world = World::new().await;
        world.topup("acme", "t1", 100).await;
        let first = start(&world, &path);
        until_money(&world, "acme", (100, 0)).await;
        world.submit("acme", "j1", "writer", tokens(10, 10)).await;
        until(&world, "acme", "j1", "hold_placed").await;
        first.stop().await;
        world.complete("acme", "j1", tokens(1, 1)).await;
        world.submit("acme", "j2", "writer", tokens(10, 0)).await;
        let second = start(&world, &path);
        until(&world, "acme", "j2", "hold_placed").await;
        until_money(&world, "acme", (88, 10)).await;
        second.stop().await;
    });
}

#[test]
fn noise_is_answered_and_does_not_wedge_anything() {
    run(async {
        let (_folder, path) = prices();
        let mut world = World::new().await;
        let billing = start(&world, &path);
        for (n, body) in [b"".to_vec(), b"\xc1".to_vec(), vec![0x91; 100_000], b"{\"amount\":1.5}".to_vec()]
            .into_iter()
            .enumerate()
        {
            let entry = Entry {
                subject: Subject::request(&account("acme"), &job(&format!("noise{n}")), "topup_posted")
                    .to_string(),
                id: EventId::of_record("noise", n as u64),
                headers: Headers::default(),
                payload: body.into(),
                expect: None,
            };
            world.log.append(entry).await.unwrap();
        }
        world.topup("acme", "good", 5).await;
        until_money(&world, "acme", (5, 0)).await;
        let filter = [Filter::event(Domain::Request, "rejected")];
        let answered = async {
            while world.log.read(stream::REQUESTS, &filter, 1, 10).await.unwrap().len() < 4 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("every noise is answered");
        for record in world.log.read(stream::REQUESTS, &filter, 1, 10).await.unwrap() {
            let body: Rejected = lowland_events::codec::from_body(&record.payload).unwrap();
            assert_eq!(body.problem.code, ProblemCode::InvalidRequest);
        }
        billing.stop().await;
    });
}

#[test]
fn a_changed_price_book_is_used_without_a_restart() {
    run(async {
        let (_folder, path) = prices();
        let mut world = World::new().await;
        let billing = start(&world, &path);
        world.topup("acme", "t1", 100_000).await;
        world.submit("acme", "j1", "painter", tokens(1, 1)).await;
        until(&world, "acme", "j1", "rejected").await;
        std::fs::write(&path, BOOK.replace("models.odd", "models.painter")).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.submit("acme", "j2", "painter", tokens(1, 1)).await;
        until(&world, "acme", "j2", "hold_placed").await;
        billing.stop().await;
    });
}
