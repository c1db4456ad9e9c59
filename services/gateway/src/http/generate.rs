//! `POST /v1/chat/completions` and `POST /v1/completions`, whole and streamed.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use tokio::time::{Instant, timeout_at};

use super::{App, about, auth::Caller, body, feed::Feed, session::Session, wish::Wish};
use crate::{
    error::ApiError,
    hub::{Interest, Key},
    limit::Permit,
    outcome,
    render::{self, Chunks, Head},
    translate::{self, Aliases, Generation},
    update::{End, Update},
};

type Translate = fn(&[u8]) -> Result<Generation, ApiError>;

pub(super) async fn chat(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    serve(&app, caller, &headers, body, translate::chat).await
}

pub(super) async fn completion(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    serve(&app, caller, &headers, body, translate::completion).await
}

/// A request that was read; nothing was posted yet.
struct Asked {
    permit: Permit,
    key: Key,
    generation: Generation,
    wish: Wish,
}

async fn serve(app: &App, caller: Caller, headers: &HeaderMap, body: Body, translate: Translate) -> Response {
    match read(app, caller, headers, body, translate).await {
        Ok(asked) => {
            let key = asked.key.clone();
            about(&key, answer(app, asked).await)
        }
        Err(error) => error.into_response(),
    }
}

async fn read(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
    translate: Translate,
) -> Result<Asked, ApiError> {
    let permit = app.limits.enter(&caller.account)?;
    let body = body::read(app, headers, body).await?;
    let generation = translate(&body)?;
    let wish = Wish::read(headers)?;
    let job = match &wish.resume {
        Some(id) if generation.stream.is_some() => id.job.clone(),
        _ => wish.job(&caller.account),
    };
    Ok(Asked { permit, key: Key { account: caller.account, job }, generation, wish })
}

async fn answer(app: &App, asked: Asked) -> Result<Response, ApiError> {
    let Asked { permit, key, generation, wish } = asked;
    let Generation { posted, form, stream, aliases } = generation;
    let head =
        Head { job: key.job.clone(), form, model: posted.model.clone(), created: app.host.clock.now() };
    let Some(stream) = stream else {
        let session = Session::place(app, permit, &key, posted, wish, Interest::Job).await?;
        return whole(session, head, &aliases).await;
    };
    let resumed = wish.resume.is_some();
    let mut session = match &wish.resume {
        Some(id) => Session::resume(app, permit, &key, id.at, false).await?,
        None => Session::place(app, permit, &key, posted, wish, Interest::JobAndTokens).await?,
    };
    let first = first(&mut session, app.config.headers_within, &aliases).await?;
    let head = accepted(head, &session);
    let mut feed = Feed::new(session, Chunks::new(head, stream), aliases, resumed);
    first.into_iter().for_each(|update| feed.take(Ok(update)));
    Ok(feed.into_response(app.config.keep_alive))
}

async fn whole(mut session: Session, head: Head, aliases: &Aliases) -> Result<Response, ApiError> {
    let completed = outcome::completed(session.end().await?, aliases)?;
    Ok(Json(render::whole(&accepted(head, &session), &completed)).into_response())
}

/// The first output, or the end if that is no failure; nothing if neither comes within `within`. What fails before
/// can still be told by the response's status.
pub(super) async fn first(
    session: &mut Session,
    within: Duration,
    aliases: &Aliases,
) -> Result<Option<Update>, ApiError> {
    let by = Instant::now() + within;
    loop {
        match timeout_at(by, session.next()).await {
            Err(_) => return Ok(None),
            Ok(Ok(Update::Progress)) => {}
            Ok(Ok(Update::End(end))) => {
                let completed = outcome::completed(end, aliases)?;
                return Ok(Some(Update::End(End::Completed(completed))));
            }
            Ok(update) => return update.map(Some),
        }
    }
}

/// The head with the time at which the job was accepted: the same however often the answer is asked for.
fn accepted(head: Head, session: &Session) -> Head {
    let created = session.watch().accepted().map_or(head.created, |accepted| accepted.time);
    Head { created, ..head }
}
