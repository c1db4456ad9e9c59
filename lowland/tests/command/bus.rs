//! What the generated permissions let each user do, asked of a real server: reading permissions off a table of strings
//! proves little, since the server has the last word.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event};
use futures::StreamExt;
use lowland::{
    artifacts::{cache::Cache, fetch::Fetcher, pins::PINS, progress::Progress},
    folders::{self, Data},
    nats::{
        config::{Accounts, Flush, Server},
        keys,
        permissions::Role,
    },
    supervise::{health, ports::Ports, prepare::accounts},
};
use lowland_events::{
    Domain, Filter, Subject,
    id::{AccountId, JobId, WorkerId},
    log::{
        Log,
        jetstream::{Connection, Credentials, JetStreamLog},
    },
    stream,
};
use tokio::{sync::mpsc, time::timeout};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a message that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(300);

/// A server of this test's own.
struct Bus {
    server: Child,
    url: String,
    data: Data,
    _dir: tempfile::TempDir,
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(crate) fn nats_server() -> std::path::PathBuf {
    let cache = Cache::at(folders::cache().unwrap());
    let fetcher = Fetcher { cache, env: std::env::vars().collect(), progress: Progress::Silent };
    fetcher.ensure(PINS.artifact("nats-server").unwrap()).unwrap().path
}

fn worker(id: &str) -> Role {
    Role::Worker(WorkerId::new(id).unwrap())
}

fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

fn users(data: &Data) -> Accounts {
    let roles = [Role::Scheduler, Role::Billing, Role::Gateway, worker("w1"), worker("w2")];
    let tenants = ["acme", "beta"].map(|id| (account(id), keys::password(data, &account(id)).unwrap()));
    accounts(data, &roles, &tenants).unwrap()
}

impl Bus {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        let mut ports = Ports::default();
        let (port, monitor_port) = (ports.any().unwrap(), ports.any().unwrap());
        drop(ports);
        let server = Server {
            host: std::net::Ipv4Addr::LOCALHOST.into(),
            port,
            monitor_port,
            store: data.nats(),
            file_store_bytes_max: 1 << 30,
            flush: Flush::default(),
            accounts: users(&data),
        };
        let config = data.run().join("nats.conf");
        folders::write_secret(&config, server.render().as_bytes()).unwrap();
        let server = Command::new(nats_server()).arg("-c").arg(config).stderr(Stdio::null()).spawn().unwrap();
        let bus = Self { server, url: format!("nats://127.0.0.1:{port}"), data, _dir: dir };
        let health = format!("http://127.0.0.1:{monitor_port}/healthz");
        timeout(PATIENCE, health::ready(&reqwest::Client::new(), &health)).await.expect("the server starts");
        bus.ensure_streams().await;
        bus
    }

    async fn ensure_streams(&self) {
        let log = self.log(&Role::Operator).await;
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
    }

    fn seed(&self, role: &Role) -> String {
        std::fs::read_to_string(keys::seed_file(&self.data, role)).unwrap()
    }

    async fn log(&self, role: &Role) -> JetStreamLog {
        let connection = Connection {
            url: self.url.clone(),
            credentials: Credentials::NkeySeed(self.seed(role)),
            name: role.user(),
            inbox_prefix: Some(role.inbox_prefix()),
        };
        timeout(PATIENCE, JetStreamLog::connect(&connection)).await.unwrap().unwrap()
    }

    async fn service(&self, role: &Role) -> User {
        let options = ConnectOptions::with_nkey(self.seed(role)).custom_inbox_prefix(role.inbox_prefix());
        User::connect(&self.url, options).await
    }

    async fn tenant(&self, id: &str) -> User {
        let password = keys::password(&self.data, &account(id)).unwrap();
        User::connect(&self.url, ConnectOptions::with_user_and_password(id.into(), password)).await
    }
}

/// A connection that hears what it is refused.
struct User {
    client: Client,
    refusals: mpsc::UnboundedReceiver<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// JetStream stored it, or answered the question.
    Given(String),
    /// Nobody answers there.
    Nobody,
    /// The server says that this user may not.
    Refused,
}

impl User {
    async fn connect(url: &str, options: ConnectOptions) -> Self {
        let (sender, refusals) = mpsc::unbounded_channel();
        let options = options.retry_on_initial_connect().event_callback(move |event| {
            let sender = sender.clone();
            async move {
                if let Event::ServerError(error) = event {
                    let _ = sender.send(error.to_string());
                }
            }
        });
        let client = options.connect(url).await.unwrap();
        timeout(PATIENCE, client.flush()).await.unwrap().unwrap();
        Self { client, refusals }
    }

    /// Publishes and waits for the answer, or for the refusal that comes instead of one.
    async fn ask(&mut self, subject: impl ToString, body: &str) -> Answer {
        while self.refusals.try_recv().is_ok() {}
        let request = self.client.request(subject.to_string(), body.to_owned().into());
        tokio::select! {
            answer = timeout(PATIENCE, request) => match answer.expect("an answer or a refusal") {
                Ok(message) => Answer::Given(String::from_utf8_lossy(&message.payload).into_owned()),
                Err(_) => Answer::Nobody,
            },
            refusal = self.refusals.recv() => {
                let refusal = refusal.unwrap().to_lowercase();
                assert!(refusal.contains("permissions violation"), "{refusal}");
                Answer::Refused
            }
        }
    }

    async fn is_stored(&mut self, subject: impl ToString) -> bool {
        matches!(self.ask(subject, "{}").await, Answer::Given(text) if text.contains("\"seq\""))
    }

    async fn is_refused(&mut self, subject: impl ToString) -> bool {
        self.ask(subject, "{}").await == Answer::Refused
    }
}

fn request(account_id: &str, event: &str) -> Subject {
    Subject::request(&account(account_id), &JobId::new("j1").unwrap(), event)
}

fn job(account_id: &str, event: &str) -> Subject {
    Subject::job(&account(account_id), &JobId::new("j1").unwrap(), event)
}

#[tokio::test]
async fn a_tenant_asks_for_itself_and_for_nobody_else() {
    let bus = Bus::start().await;
    let mut acme = bus.tenant("acme").await;
    assert!(acme.is_stored(request("acme", "posted")).await, "with the client's default inbox");
    assert!(acme.is_stored(request("acme", "cancel_requested")).await);
    for forged in [
        request("beta", "posted"),
        request("acme", "rejected"),
        request("acme", "topup_posted"),
        job("acme", "completed"),
        job("beta", "completed"),
        job("acme", "completed").to_worker(&WorkerId::new("w1").unwrap()),
        Subject::account(&account("acme"), "charged"),
        Subject::account(&account("acme"), "topped_up"),
        Subject::token(&account("acme"), &JobId::new("j1").unwrap(), 1),
    ] {
        assert!(acme.is_refused(&forged).await, "{forged}");
    }
    for api in ["STREAM.INFO.LOG", "STREAM.DELETE.LOG", "STREAM.PURGE.REQUESTS", "STREAM.MSG.GET.LOG", "INFO"]
    {
        assert!(acme.is_refused(format!("$JS.API.{api}")).await, "{api}");
    }
}

#[tokio::test]
async fn a_tenant_hears_what_is_its_own() {
    let bus = Bus::start().await;
    let acme = bus.tenant("acme").await;
    let mut own = acme.client.subscribe(Filter::scope(Domain::Job, "acme").live()).await.unwrap();
    let mut all = acme.client.subscribe(Filter::scope_of_any("acme").live()).await.unwrap();
    acme.client.flush().await.unwrap();
    let mut operator = bus.service(&Role::Operator).await;
    assert!(operator.is_stored(job("beta", "submitted")).await);
    assert!(operator.is_stored(job("acme", "submitted")).await);
    for subscription in [&mut own, &mut all] {
        let heard = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
        assert_eq!(heard.subject.as_str(), job("acme", "submitted").live());
    }
}

#[tokio::test]
async fn a_tenant_does_not_hear_others() {
    let bus = Bus::start().await;
    let mut acme = bus.tenant("acme").await;
    for subject in
        [Filter::scope(Domain::Job, "beta").live(), ">".into(), Filter::domain(Domain::Job).to_string()]
    {
        let mut others = acme.client.subscribe(subject.clone()).await.unwrap();
        let refusal = timeout(PATIENCE, acme.refusals.recv()).await.unwrap().unwrap();
        assert!(refusal.to_lowercase().contains("permissions violation"), "{subject}: {refusal}");
        others.unsubscribe().await.unwrap();
    }
    // Inboxes it may hear: those of its own account, and in there nothing of beta's arrives.
    let mut inboxes = acme.client.subscribe("_INBOX.>").await.unwrap();
    acme.client.flush().await.unwrap();
    let mut beta = bus.tenant("beta").await;
    assert!(beta.is_stored(request("beta", "posted")).await);
    assert!(timeout(SILENCE, inboxes.next()).await.is_err(), "beta's answer was heard by acme");
}

/// An answer can be aimed: JetStream sends it wherever the question says. From a tenant's account it stays in there.
#[tokio::test]
async fn a_tenant_cannot_aim_an_answer_at_the_log() {
    let bus = Bus::start().await;
    let acme = bus.tenant("acme").await;
    let target = Subject::account(&account("acme"), "charged").to_string();
    let (asked, body) = (request("acme", "posted").to_string(), "{}".into());
    acme.client.publish_with_reply(asked, target.clone(), body).await.unwrap();
    acme.client.flush().await.unwrap();
    let log = bus.log(&Role::Operator).await;
    let mut acme = acme;
    assert!(acme.is_stored(request("acme", "cancel_requested")).await, "what came before was handled");
    let charge = log.last(stream::LOG, &Filter::from(&target.parse::<Subject>().unwrap())).await.unwrap();
    assert_eq!(charge, None);
}

#[tokio::test]
async fn a_worker_says_what_workers_say() {
    let bus = Bus::start().await;
    let mut w1 = bus.service(&worker("w1")).await;
    assert!(w1.is_stored(Subject::token(&account("acme"), &JobId::new("j1").unwrap(), 1)).await);
    for forged in [
        Subject::account(&account("acme"), "charged"),
        Subject::account(&account("acme"), "topped_up"),
        job("acme", "submitted"),
        job("acme", "failed"),
        job("acme", "assigned").to_worker(&WorkerId::new("w1").unwrap()),
        request("acme", "posted"),
        request("acme", "topup_posted"),
    ] {
        assert!(w1.is_refused(&forged).await, "{forged}");
    }
    for api in [
        "STREAM.DELETE.LOG",
        "STREAM.PURGE.LOG",
        "STREAM.UPDATE.LOG",
        "STREAM.MSG.GET.LOG",
        "STREAM.MSG.DELETE.LOG",
        "CONSUMER.CREATE.LOG.spy",
        "CONSUMER.CREATE.LOG.spy.lowland.job.>",
        "CONSUMER.CREATE.LOG.spy.lowland.job.*.*.assigned.w2",
        "CONSUMER.CREATE.REQUESTS.spy",
    ] {
        assert!(w1.is_refused(format!("$JS.API.{api}")).await, "{api}");
    }
}

#[tokio::test]
async fn services_keep_to_their_own() {
    let bus = Bus::start().await;
    let charge = Subject::account(&account("acme"), "charged");
    for role in [Role::Scheduler, Role::Gateway] {
        assert!(bus.service(&role).await.is_refused(&charge).await, "{role:?}");
    }
    let mut billing = bus.service(&Role::Billing).await;
    assert!(billing.is_stored(&charge).await);
    assert!(billing.is_refused(job("acme", "assigned").to_worker(&WorkerId::new("w1").unwrap())).await);
    assert!(bus.service(&Role::Gateway).await.is_refused(job("acme", "submitted")).await);
    for role in [Role::Scheduler, Role::Billing, Role::Gateway] {
        assert!(bus.service(&role).await.is_refused("$JS.API.STREAM.DELETE.LOG").await, "{role:?}");
    }
    let requests_of_the_scheduler = "$JS.API.CONSUMER.MSG.NEXT.REQUESTS.scheduler";
    for role in [Role::Billing, Role::Gateway] {
        assert!(bus.service(&role).await.is_refused(requests_of_the_scheduler).await, "{role:?}");
    }
    assert!(bus.service(&Role::Gateway).await.is_refused("$JS.API.STREAM.UPDATE.LOG").await);
}

/// Each service does through the log what its work is made of; a permission that is missing shows here.
#[tokio::test]
async fn services_can_do_their_work() {
    let bus = Bus::start().await;
    for (role, ensured, read) in [
        (
            Role::Scheduler,
            vec![stream::log(), stream::requests(), stream::tokens(), stream::metrics()],
            vec!["LOG", "REQUESTS"],
        ),
        (Role::Billing, vec![stream::log(), stream::requests()], vec!["LOG", "REQUESTS"]),
        (Role::Gateway, vec![stream::tokens()], vec!["LOG", "REQUESTS", "TOKENS"]),
        (worker("w1"), vec![stream::tokens(), stream::metrics()], vec!["TOKENS"]),
    ] {
        let log = bus.log(&role).await;
        for spec in ensured {
            log.ensure(&spec).await.unwrap_or_else(|error| panic!("{role:?} ensures {}: {error}", spec.name));
        }
        for stream in read {
            log.extent(stream).await.unwrap_or_else(|error| panic!("{role:?} reads {stream}: {error}"));
        }
    }
}
