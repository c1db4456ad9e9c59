//! A service's start: settings, telemetry, the log, health, signals; then its own loop.

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use lowland_events::{
    id::{InstanceId, ServiceId},
    log::{
        SharedLog,
        jetstream::{Connection, Credentials, JetStreamLog},
    },
};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Figures, Inspection, Settings,
    clock::Clock,
    health::{self, Health},
    keep::EVENTS_BETWEEN_MIN,
    logging,
    measured::measured,
    sampler::{self, Sampling},
    signals,
    trace::{TraceConfig, Tracer},
};

/// Longest wait, at the end, for what still blocks a thread (a model that is being loaded).
const BLOCKED_WAIT: Duration = Duration::from_secs(1);

/// A service: a name, its settings, and what it does until it is told to stop.
pub trait Service {
    /// Its name, as in `lowland serve NAME`.
    const NAME: &'static str;
    /// Its own settings.
    type Config: Send;

    /// Whether it publishes its figures itself, with signs of life between.
    const BEATS: bool = false;

    /// Whether it is one loop that does one thing after the other. It then has one thread, since waking another for what
    /// arrives takes longer than most of what there is to do about it.
    const IS_ONE_LOOP: bool = false;

    /// Reads its settings; what is wrong is noted in `settings`.
    fn config(settings: &mut Settings) -> Self::Config;

    /// Works until `host.stop` is cancelled.
    fn serve(host: Host, config: Self::Config) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What a service is given. Clones share everything.
#[derive(Clone)]
pub struct Host {
    /// The log; what is appended to it is measured.
    pub log: SharedLog,
    /// The same log, unmeasured: for the samples of what is measured.
    pub bus: SharedLog,
    /// The service's name.
    pub service: ServiceId,
    /// This process; never used twice.
    pub instance: InstanceId,
    /// Whether the service does its work.
    pub health: Health,
    /// Where operators ask for the service's state.
    pub inspection: Inspection,
    /// The process's figures.
    pub figures: Figures,
    /// Where it tells spans.
    pub tracer: Tracer,
    /// What it tells the time by.
    pub clock: Clock,
    /// Fewest events from one snapshot of its state to the next: [`EVENTS_BETWEEN_MIN`], but for simulations.
    pub keep_after: u64,
    /// Cancelled when the service is to stop.
    pub stop: CancellationToken,
}

impl Host {
    /// What goes into an event's source: service and process.
    #[must_use]
    pub fn source(&self) -> String {
        format!("{}/{}", self.service, self.instance)
    }

    /// A host over any log, for tests: nothing is bound, no signal is heard.
    #[must_use]
    pub fn over(bus: SharedLog, service: &str) -> Self {
        let figures = Figures::default();
        Self {
            log: measured(Arc::clone(&bus), &figures),
            bus,
            service: ServiceId::new(service).expect("a service's name is a valid id"),
            instance: new_instance(service),
            health: Health::default(),
            inspection: Inspection::default(),
            figures,
            tracer: Tracer::off(),
            clock: Clock::default(),
            keep_after: EVENTS_BETWEEN_MIN,
            stop: CancellationToken::new(),
        }
    }
}

/// The settings that every service has.
struct Common {
    nats_url: Option<String>,
    credentials: Credentials,
    inbox_prefix: Option<String>,
    health: Option<SocketAddr>,
    log_filter: String,
    log_json: bool,
    traces: TraceConfig,
}

fn common(settings: &mut Settings) -> Common {
    let seed_file: Option<PathBuf> = settings.optional("LOWLAND_NKEY_SEED_FILE");
    let user: Option<String> = settings.optional("LOWLAND_NATS_USER");
    let password: Option<String> = settings.optional("LOWLAND_NATS_PASSWORD");
    Common {
        nats_url: settings
            .required("LOWLAND_NATS_URL", "where the NATS server is, such as nats://127.0.0.1:4222"),
        credentials: credentials(settings, seed_file, user, password),
        inbox_prefix: settings.optional("LOWLAND_INBOX_PREFIX"),
        health: settings.optional("LOWLAND_HEALTH_ADDR"),
        log_filter: settings.or("LOWLAND_LOG", "info".into()),
        log_json: settings.or("LOWLAND_LOG_JSON", false),
        traces: TraceConfig::read(settings),
    }
}

fn credentials(
    settings: &mut Settings,
    seed_file: Option<PathBuf>,
    user: Option<String>,
    password: Option<String>,
) -> Credentials {
    match (seed_file, user, password) {
        (Some(path), None, None) => match std::fs::read_to_string(&path) {
            Ok(seed) => Credentials::NkeySeed(seed.trim().to_owned()),
            Err(error) => {
                settings.problem(format!("LOWLAND_NKEY_SEED_FILE={}: {error}", path.display()));
                Credentials::None
            }
        },
        (None, Some(user), Some(password)) => Credentials::Password { user, password },
        (None, None, None) => Credentials::None,
        _ => {
            settings.problem(
                "set either LOWLAND_NKEY_SEED_FILE, or LOWLAND_NATS_USER with LOWLAND_NATS_PASSWORD, or none of them",
            );
            Credentials::None
        }
    }
}

/// Runs the service with the settings of this process's environment.
pub fn run<S: Service>() -> Result<(), Error> {
    run_with::<S>(Settings::from_env())
}

/// Runs the service until it is told to stop. The `main` of `lowland serve NAME`.
pub fn run_with<S: Service>(mut settings: Settings) -> Result<(), Error> {
    let common = common(&mut settings);
    let config = S::config(&mut settings);
    settings.finish()?;
    let instance = new_instance(S::NAME);
    logging::init(&common.log_filter, common.log_json, S::NAME, &instance)?;
    let mut builder =
        if S::IS_ONE_LOOP { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = builder.enable_all().build().map_err(Error::io("starting the runtime"))?;
    let outcome = runtime.block_on(start::<S>(common, config, instance));
    runtime.shutdown_timeout(BLOCKED_WAIT);
    outcome
}

async fn start<S: Service>(common: Common, config: S::Config, instance: InstanceId) -> Result<(), Error> {
    let stop = signals::stop_token()?;
    let (health, inspection, figures) = (Health::default(), Inspection::default(), Figures::default());
    if let Some(address) = common.health {
        health::serve(address, health.clone(), inspection.clone(), figures.clone(), stop.clone()).await?;
    }
    let tracer = Tracer::start(common.traces, S::NAME, instance.as_str(), &figures)?;
    let connection = Connection {
        url: common.nats_url.unwrap_or_default(),
        credentials: common.credentials,
        name: format!("lowland {}", S::NAME),
        inbox_prefix: common.inbox_prefix,
    };
    let bus: SharedLog = tokio::select! {
        log = JetStreamLog::connect(&connection) => Arc::new(log?),
        () = stop.cancelled() => return Ok(()),
    };
    tracing::info!(%instance, "connected");
    let service = ServiceId::new(S::NAME).expect("a service's name is a valid id");
    let (clock, spans) = (Clock::default(), tracer.clone());
    let (log, keep_after) = (measured(Arc::clone(&bus), &figures), EVENTS_BETWEEN_MIN);
    let host =
        Host { log, bus, service, instance, health, inspection, figures, tracer, clock, keep_after, stop };
    let _sampling = (!S::BEATS).then(|| Sampling::of(sampler::sample(host.clone())));
    let outcome = S::serve(host, config).await;
    spans.close().await;
    outcome
}

/// An id for this process that no other process ever has.
fn new_instance(service: &str) -> InstanceId {
    let random = uuid::Uuid::new_v4().simple().to_string();
    InstanceId::new(format!("{service}-{}", &random[..16])).expect("a name and hex digits are a valid id")
}
