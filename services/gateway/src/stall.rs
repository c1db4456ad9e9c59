//! A connection whose peer takes nothing is closed after a while.
//!
//! Without this a client that stops reading would keep its request, its permit and its job for ever: the response is
//! only pulled while it can be written, so nothing else would ever run out of time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// A connection that fails once a write has waited too long.
pub struct Stalling<C> {
    connection: C,
    longest: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<C> Stalling<C> {
    /// A connection on which a write waits at most `longest`.
    pub fn new(connection: C, longest: Duration) -> Self {
        Self { connection, longest, waiting: None }
    }

    /// Passes on what a write came to; while it waits, the clock runs.
    fn watch<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.waiting = None;
            return write;
        }
        let longest = self.longest;
        let waiting =
            self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + longest)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Stalling<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Stalling<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.watch(cx, write)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.connection).poll_flush(cx);
        self.watch(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.connection).poll_shutdown(cx);
        self.watch(cx, shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.connection).poll_write_vectored(cx, buffers);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = duplex(4);
        let mut connection = Stalling::new(ours, Duration::from_secs(60));
        let error = connection.write_all(b"more than four").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_merely_slow_gets_everything() {
        let (ours, mut theirs) = duplex(4);
        let mut connection = Stalling::new(ours, Duration::from_secs(60));
        let writing = tokio::spawn(async move { connection.write_all(b"more than four").await });
        let mut read = Vec::new();
        while read.len() < 14 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            let mut byte = [0];
            theirs.read_exact(&mut byte).await.unwrap();
            read.push(byte[0]);
        }
        writing.await.unwrap().unwrap();
        assert_eq!(read, b"more than four");
    }
}
