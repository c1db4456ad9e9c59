//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{App, about, auth::Caller, body, session::Session, wish::Wish};
use crate::{
    error::ApiError,
    hub::{Interest, Key},
    limit::Permit,
    outcome, render,
    translate::{self, Aliases, Embedding},
};

pub(super) async fn embeddings(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read(&app, &caller, &headers, body).await {
        Ok((permit, embedding, wish)) => {
            let key = Key { job: wish.job(&caller.account), account: caller.account };
            about(&key, answer(&app, permit, &key, embedding, wish).await)
        }
        Err(error) => error.into_response(),
    }
}

async fn read(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Permit, Embedding, Wish), ApiError> {
    let permit = app.limits.enter(&caller.account)?;
    let body = body::read(app, headers, body).await?;
    Ok((permit, translate::embedding(&body)?, Wish::read(headers)?))
}

async fn answer(
    app: &App,
    permit: Permit,
    key: &Key,
    embedding: Embedding,
    wish: Wish,
) -> Result<Response, ApiError> {
    let Embedding { posted, format } = embedding;
    let model = posted.model.clone();
    let mut session = Session::place(app, permit, key, posted, wish, Interest::Job).await?;
    let completed = outcome::completed(session.end().await?, &Aliases::default())?;
    Ok(Json(render::vectors(&model, &completed, format)).into_response())
}
