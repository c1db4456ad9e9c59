//! `/v1/jobs/{job}`: what became of a job, its stream, and its cancellation. A job belongs to the account that posted
//! it: for any other key it does not exist.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::Response,
};
use lowland_events::{Domain, Filter, id::JobId, stream::LOG};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App, about,
    auth::Caller,
    feed::Feed,
    generate,
    session::{Session, must_exist},
    wish::Wish,
};
use crate::{
    error::ApiError,
    history,
    hub::Key,
    outcome,
    position::Position,
    render::{Chunks, Head},
    status::Status,
    translate::{Aliases, Stream, TextForm},
    update::{Accepted, Kind, Update},
};

/// The job in a path, which may be no text at all.
type JobPath = Result<Path<String>, PathRejection>;

/// What a stream's caller may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    include_usage: bool,
}

pub(super) async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    job: JobPath,
) -> Result<Json<Value>, ApiError> {
    let _permit = app.limits.enter(&caller.account)?;
    let key = key(caller, job)?;
    must_exist(&app, &key).await?;
    let mut status = Status::default();
    let filter = Filter::aggregate(Domain::Job, key.account.as_str(), key.job.as_str());
    let read = history::each(&app.host.log, LOG, &filter, 0, |event| status.evolve(event));
    tokio::time::timeout(app.config.post_within, read)
        .await
        .map_err(|_| ApiError::log_unavailable("no answer in time"))??;
    Ok(Json(status.to_json(key.job.as_str())))
}

pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    job: JobPath,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let _permit = app.limits.enter(&caller.account)?;
    let key = key(caller, job)?;
    must_exist(&app, &key).await?;
    app.desk
        .cancel(&key, "the caller asked for it")
        .await
        .map_err(|error| ApiError::log_unavailable(&error.to_string()))?;
    let answer = json!({"id": key.job.as_str(), "object": "job", "cancel_requested": true});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    caller: Caller,
    job: JobPath,
    options: Result<Query<Options>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let permit = app.limits.enter(&caller.account)?;
    let key = key(caller, job)?;
    let include_usage = options.map_err(|error| bad_query(&error))?.include_usage;
    let wish = Wish::read(&headers)?;
    let shown = shown(&wish, &key.job)?;
    let mut session =
        Session::resume(&app, permit, &key, shown.unwrap_or_default(), !wish.comes_back()).await?;
    let (accepted, mut early) = accepted(&mut session).await?;
    let head = head(&key.job, accepted)?;
    if early.is_empty() {
        early.extend(generate::first(&mut session, app.config.headers_within, &Aliases::default()).await?);
    }
    let stream = Stream { include_usage };
    let mut feed = Feed::new(session, Chunks::new(head, stream), Aliases::default(), shown.is_some());
    early.into_iter().for_each(|update| feed.take(Ok(update)));
    Ok(about(&key, feed.into_response(app.config.keep_alive)))
}

fn key(caller: Caller, job: JobPath) -> Result<Key, ApiError> {
    let Path(job) = job.map_err(|_| ApiError::no_job(""))?;
    let job = JobId::new(&job).map_err(|_| ApiError::no_job(&job))?;
    Ok(Key { account: caller.account, job })
}

fn bad_query(error: &QueryRejection) -> ApiError {
    ApiError::parameter("invalid_value", "include_usage", error.body_text())
}

/// What the caller has of the job's output.
fn shown(wish: &Wish, job: &JobId) -> Result<Option<Position>, ApiError> {
    match &wish.resume {
        None => Ok(None),
        Some(id) if id.job == *job => Ok(Some(id.at)),
        Some(_) => {
            let message = "Last-Event-ID names another job than the path";
            Err(ApiError::parameter("invalid_value", "Last-Event-ID", message))
        }
    }
}

/// What the job is, with the output that came before that was known.
async fn accepted(session: &mut Session) -> Result<(Accepted, Vec<Update>), ApiError> {
    let mut early = Vec::new();
    loop {
        if let Some(accepted) = session.watch().accepted() {
            return Ok((accepted.clone(), early));
        }
        match session.next().await? {
            Update::Progress => {}
            Update::End(end) => {
                outcome::completed(end, &Aliases::default())?;
                return Err(ApiError::no_job(session.watch().key().job.as_str()));
            }
            delta @ Update::Delta(_) => early.push(delta),
        }
    }
}

fn head(job: &JobId, accepted: Accepted) -> Result<Head, ApiError> {
    let form = match accepted.kind {
        Kind::Chat => TextForm::Chat,
        Kind::Completion => TextForm::Completion,
        Kind::Embedding => {
            let message = "an embedding has no stream; ask for it with its Idempotency-Key again";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "wrong_task", message));
        }
    };
    Ok(Head { job: job.clone(), form, model: accepted.model.to_string(), created: accepted.time })
}
