//! One caller and its job, from posting to the end: the watch, the departure guard, the time limit and the permit.

use std::time::Duration;

use lowland_events::{Domain, Filter, Time, id::ModelId, log, request::Posted, stream::LOG};
use lowland_host::{Clock, figures::Held};
use tokio::time::Instant;

use super::{App, wish::Wish};
use crate::{
    departure::Caller,
    desk::{self, Placed},
    error::ApiError,
    figures::Counted,
    hub::{Interest, Key},
    limit::Permit,
    position::Position,
    update::{End, Kind, Update},
    watch::Watch,
};

/// Time allowed for a job that doesn't say, in milliseconds: admission's default.
const DEADLINE_MS_DEFAULT: u64 = 600_000;
/// Longest time allowed, in milliseconds: admission's bound.
const DEADLINE_MS_MAX: u64 = 24 * 3_600_000;

/// One caller and its job. Fields are dropped in this order: once it no longer watches, its departure counts.
pub(super) struct Session {
    watch: Watch,
    caller: Caller,
    limit: Limit,
    times: Times,
    _permit: Permit,
}

/// A request's times, as far as they are still to be counted.
struct Times {
    counted: Counted,
    /// When it was posted; nothing for one that takes up what was posted before.
    posted: Option<Instant>,
    /// Whether a first text is still to be timed: of what comes whole it is not.
    first: bool,
}

impl Times {
    fn of_posted(app: &App, interest: Interest) -> Self {
        let first = interest == Interest::JobAndTokens;
        Self { counted: app.counted.clone(), posted: Some(Instant::now()), first }
    }

    fn of_resumed(app: &App) -> Self {
        Self { counted: app.counted.clone(), posted: None, first: false }
    }

    /// Counts what an update says; a model's name is only used once admission knows it.
    fn note(&mut self, model: Option<&ModelId>, update: &Update) {
        let (Some(posted), Some(model)) = (self.posted, model) else { return };
        match update {
            Update::Progress => {}
            Update::Delta(_) if !self.first => {}
            Update::Delta(_) => {
                self.first = false;
                self.counted.first_token(model.as_str()).record_time(posted.elapsed());
            }
            Update::End(_) => {
                self.posted = None;
                self.counted.request_seconds(model.as_str()).record_time(posted.elapsed());
            }
        }
    }
}

/// How long to wait for the job.
struct Limit {
    by: Instant,
    /// What is added to the job's own deadline.
    grace: Duration,
    /// Whether the job's own deadline is known.
    known: bool,
    clock: Clock,
}

impl Limit {
    /// Until the job says its deadline, what the caller allows counts.
    fn allowed(app: &App, allowed_ms: Option<u64>) -> Self {
        let grace = app.config.answer_grace;
        let by = after(allowed_ms.unwrap_or(DEADLINE_MS_DEFAULT)) + grace;
        Self { by, grace, known: false, clock: app.host.clock.clone() }
    }

    fn learn(&mut self, deadline: Time) {
        if !self.known {
            self.by = after(deadline.ms_since(self.clock.now())) + self.grace;
            self.known = true;
        }
    }
}

fn after(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms.min(DEADLINE_MS_MAX))
}

impl Session {
    /// Posts a job, or takes up the one that the same `Idempotency-Key` stands for.
    pub(super) async fn place(
        app: &App,
        permit: Permit,
        key: &Key,
        posted: Posted,
        wish: Wish,
        interest: Interest,
    ) -> Result<Self, ApiError> {
        tracing::Span::current().record("account", key.account.as_str()).record("job", key.job.as_str());
        let once = wish.idempotency_key.is_some();
        let watch = if once {
            Watch::resumed(&app.hub, &app.host.log, key, interest, Position::default())
        } else {
            Watch::of_new_job(&app.hub, &app.host.log, key, interest)
        };
        let caller = app.departures.caller(key, wish.comes_back());
        let limit = Limit::allowed(app, posted.deadline_ms);
        let times = Times::of_posted(app, interest);
        let mut session = Self { watch, caller, limit, times, _permit: permit };
        let placed = app.desk.post(key, posted.clone(), once, wish.trace).await?;
        if once && placed == Placed::Before {
            session.times.posted = None;
            let earlier = app.desk.posted(key).await?;
            if earlier.is_some_and(|earlier| earlier != posted) {
                session.caller.leave_alone();
                return Err(desk::used_otherwise());
            }
        }
        Ok(session)
    }

    /// Takes up a job of which the caller has the part before `shown`. A mere `onlooker` may leave without consequence.
    pub(super) async fn resume(
        app: &App,
        permit: Permit,
        key: &Key,
        shown: Position,
        onlooker: bool,
    ) -> Result<Self, ApiError> {
        must_exist(app, key).await?;
        let watch = Watch::resumed(&app.hub, &app.host.log, key, Interest::JobAndTokens, shown);
        let mut caller = app.departures.caller(key, true);
        if onlooker {
            caller.leave_alone();
        }
        let (limit, times) = (Limit::allowed(app, None), Times::of_resumed(app));
        Ok(Self { watch, caller, limit, times, _permit: permit })
    }

    /// What happens next to the job, within its time.
    pub(super) async fn next(&mut self) -> Result<Update, ApiError> {
        let update = match tokio::time::timeout_at(self.limit.by, self.watch.next()).await {
            Ok(update) => update?,
            Err(_) => return Err(ApiError::deadline()),
        };
        let accepted = self.watch.accepted();
        if let Some(accepted) = accepted {
            self.limit.learn(accepted.deadline);
        }
        self.times.note(accepted.map(|accepted| &accepted.model), &update);
        let embedding = accepted.is_some_and(|accepted| accepted.kind == Kind::Embedding);
        if matches!(update, Update::End(_)) || embedding && self.watch.started() {
            self.caller.leave_alone();
        }
        Ok(update)
    }

    /// How the job ends; waits for it.
    pub(super) async fn end(&mut self) -> Result<End, ApiError> {
        loop {
            if let Update::End(end) = self.next().await? {
                return Ok(end);
            }
        }
    }

    /// A stream of this session is open for as long as what is given out lives.
    pub(super) fn stream_opens(&self) -> Held {
        self.times.counted.streams_open.hold()
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// 404 unless the account has the job: in the log, or posted and not yet decided on.
pub(super) async fn must_exist(app: &App, key: &Key) -> Result<(), ApiError> {
    let filter = Filter::aggregate(Domain::Job, key.account.as_str(), key.job.as_str());
    let last = within(app, app.host.log.last(LOG, &filter)).await?;
    if last.is_none() && app.desk.posted(key).await?.is_none() {
        return Err(ApiError::no_job(key.job.as_str()));
    }
    Ok(())
}

/// The log's answer, if it comes in time.
async fn within<T>(app: &App, asked: impl Future<Output = Result<T, log::Error>>) -> Result<T, ApiError> {
    match tokio::time::timeout(app.config.post_within, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(ApiError::log_unavailable(&error.to_string())),
        Err(_) => Err(ApiError::log_unavailable("no answer in time")),
    }
}
