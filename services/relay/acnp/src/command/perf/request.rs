//! What the client of a measurement asks, and how the server answers.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::content::{BLOCK, Check, block};
use crate::endpoint::{Connection, RecvStream, SendStream, WriteError};

/// Bytes of what a request says; the rest of it is content.
pub(super) const HEAD_LEN: usize = 24;
/// Bytes of the longest request.
pub(super) const REQUEST_LEN_MAX: usize = 1 << 20;
/// The code of an answer to a request that makes no sense or was damaged.
const BAD_REQUEST: u64 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// Bytes of the answer, at most.
    pub(super) len: u64,
    /// Where its content begins.
    pub(super) offset: u64,
    /// Milliseconds after which it ends, whatever its length; 0: never.
    pub(super) limit_ms: u64,
}

impl Request {
    /// The request as bytes, filled up with content to `len`.
    pub(super) fn write(&self, len: usize) -> Bytes {
        let head = [self.len, self.offset, self.limit_ms].map(u64::to_be_bytes).concat();
        [head.as_slice(), &block(self.offset, len.saturating_sub(HEAD_LEN))].concat().into()
    }

    fn read(content: &[u8]) -> Option<Self> {
        let (head, rest) = content.split_at_checked(HEAD_LEN)?;
        let field = |at: usize| head[at * 8..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let request = Self { len: field(0)?, offset: field(1)?, limit_ms: field(2)? };
        let mut check = Check::from(request.offset);
        check.take(rest);
        check.is_ok().then_some(request)
    }
}

/// Answers what comes on a connection until it ends.
pub(super) async fn serve(connection: Connection) {
    while let Ok((send, recv)) = connection.accept_stream().await {
        tokio::spawn(answer(send, recv));
    }
}

async fn answer(mut send: SendStream, mut recv: RecvStream) {
    let Ok(content) = recv.read_to_end(REQUEST_LEN_MAX).await else { return };
    let answered = match Request::read(&content) {
        Some(request) => write(&mut send, &request).await,
        None => send.reset(BAD_REQUEST),
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "a request was not answered");
    }
}

async fn write(send: &mut SendStream, request: &Request) -> Result<(), WriteError> {
    let (began, mut sent) = (Instant::now(), 0);
    let limit = (request.limit_ms > 0).then(|| Duration::from_millis(request.limit_ms));
    while sent < request.len && limit.is_none_or(|limit| began.elapsed() < limit) {
        let len = (request.len - sent).min(BLOCK as u64) as usize;
        send.write_chunks(block(request.offset + sent, len)).await?;
        sent += len as u64;
    }
    send.finish()
}
