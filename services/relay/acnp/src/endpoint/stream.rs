//! The two parts of a stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    cell::{Cell, Ending},
    connection::Owner,
    error::{ConnectionError, ReadError, WriteError},
};
use crate::proto::{
    StreamId,
    stream::{self, Priority},
};

/// Bytes that one write copies at most: more wait until these are taken.
const WRITE_COPY_MAX: usize = 256 * 1024;
/// Bytes that are read of the core at once.
const CHUNK: usize = 64 * 1024;

/// The sending part of a stream. Dropped, it is finished behind what was written.
#[derive(Debug)]
pub struct SendStream {
    owner: Arc<Owner>,
    id: StreamId,
    finished: bool,
}

impl SendStream {
    pub(super) fn new(owner: Arc<Owner>, id: StreamId) -> Self {
        owner.cell.lock().endings.insert(id, None);
        Self { owner, id, finished: false }
    }

    fn cell(&self) -> &Arc<Cell> {
        &self.owner.cell
    }

    /// The stream's id: the same at both ends.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// What the stream's data is worth among the connection's others.
    pub fn set_priority(&self, priority: Priority) {
        self.cell().lock().core.set_priority(self.id, priority);
        self.cell().kick();
    }

    /// Allows the stream to be sent before the server has answered (0-RTT). An attacker may repeat it to the server: mark only what does no
    /// harm twice.
    pub fn set_repeatable(&self) {
        self.cell().lock().core.set_repeatable(self.id);
        self.cell().kick();
    }

    /// Takes as much of `data` as there is room for, at least one byte, without copying; gives how much.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write_chunk(&mut self, data: &Bytes) -> Result<usize, WriteError> {
        poll_fn(|cx| self.poll_chunk(cx, data)).await
    }

    /// Takes all of `data` without copying. Dropped before it is over, it has taken a part.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write_chunks(&mut self, mut data: Bytes) -> Result<(), WriteError> {
        while !data.is_empty() {
            let taken = self.write_chunk(&data).await?;
            data = data.slice(taken..);
        }
        Ok(())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>, data: &Bytes) -> Poll<Result<usize, WriteError>> {
        let mut state = self.cell().lock();
        state.check()?;
        match state.core.write(self.id, data.clone()) {
            Ok(taken) => {
                drop(state);
                self.cell().kick();
                Poll::Ready(Ok(taken))
            }
            Err(stream::WriteError::Blocked) => {
                state.writers.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
            Err(stream::WriteError::Stopped(code)) => Poll::Ready(Err(WriteError::Stopped(code))),
            Err(stream::WriteError::Closed) => Poll::Ready(Err(match state.endings.get(&self.id) {
                Some(Some(Ending::Stopped(code))) => WriteError::Stopped(*code),
                _ => WriteError::Closed,
            })),
        }
    }

    /// Ends the stream behind what was written; the rest is sent on its own.
    ///
    /// # Errors
    /// It was ended or reset before, or the connection is over.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        let mut state = self.cell().lock();
        state.check()?;
        let result = match state.core.finish(self.id) {
            Ok(()) => {
                state.unarrived.insert(self.id);
                Ok(())
            }
            Err(stream::WriteError::Stopped(code)) => Err(WriteError::Stopped(code)),
            Err(_) => Err(WriteError::Closed),
        };
        drop(state);
        self.finished = true;
        self.cell().kick();
        result
    }

    /// Gives the stream up with a code of the application's: what was not sent yet is not any more.
    ///
    /// # Errors
    /// There is nothing to give up.
    pub fn reset(&mut self, code: u64) -> Result<(), WriteError> {
        self.finished = true;
        let mut state = self.cell().lock();
        state.unarrived.remove(&self.id);
        let result = state.core.reset(self.id, code).map_err(|_| WriteError::Closed);
        drop(state);
        self.cell().kick();
        result
    }

    /// Waits until all of a finished stream has arrived, or the peer has stopped it: with which code.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn stopped(&mut self) -> Result<Option<u64>, ConnectionError> {
        poll_fn(|cx| {
            let mut state = self.cell().lock();
            match state.endings.get(&self.id) {
                Some(Some(Ending::Arrived)) => return Poll::Ready(Ok(None)),
                Some(Some(Ending::Stopped(code))) => return Poll::Ready(Ok(Some(*code))),
                _ => state.check()?,
            }
            state.writers.insert(self.id, cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.finish();
        }
        let mut state = self.cell().lock();
        state.endings.remove(&self.id);
        state.writers.remove(&self.id);
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let stream = self.get_mut();
        let room = stream.cell().lock().core.writable(stream.id).clamp(1, WRITE_COPY_MAX);
        let data = Bytes::copy_from_slice(&data[..data.len().min(room)]);
        Poll::Ready(Ok(ready!(stream.poll_chunk(cx, &data))?))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.finished {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Ok(stream.finish()?))
    }
}

/// The receiving part of a stream. Dropped before its end, the peer is asked to send no more.
#[derive(Debug)]
pub struct RecvStream {
    owner: Arc<Owner>,
    id: StreamId,
    over: bool,
}

impl RecvStream {
    pub(super) fn new(owner: Arc<Owner>, id: StreamId) -> Self {
        Self { owner, id, over: false }
    }

    fn cell(&self) -> &Arc<Cell> {
        &self.owner.cell
    }

    /// The stream's id: the same at both ends.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// The next data, at most `max` bytes, without copying; `None` at the end.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        let mut chunk = None;
        poll_fn(|cx| {
            self.poll_with(cx, max, |data| {
                chunk = Some(data);
                0
            })
        })
        .await?;
        Ok(chunk)
    }

    /// All that comes up to the end, at most `max` bytes. Dropped before it is over, what it has read is lost.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_to_end(&mut self, max: usize) -> Result<Vec<u8>, ReadError> {
        let mut content = Vec::new();
        while let Some(chunk) = self.read_chunk(CHUNK).await? {
            if content.len() + chunk.len() > max {
                return Err(ReadError::TooLong(max));
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }

    /// Asks the peer to send no more, for a reason of the application's.
    ///
    /// # Errors
    /// There is nothing more to come.
    pub fn stop(&mut self, code: u64) -> Result<(), ReadError> {
        self.over = true;
        let result = self.cell().lock().core.stop(self.id, code).map_err(|_| ReadError::Closed);
        self.cell().kick();
        result
    }

    /// Hands data to `take`, which says how much more it wants, until there is none: a read of the end hands on nothing.
    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        mut want: usize,
        mut take: impl FnMut(Bytes) -> usize,
    ) -> Poll<Result<(), ReadError>> {
        if self.over {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.cell().lock();
        let mut got = false;
        let result = loop {
            match state.core.read(self.id, want.min(CHUNK)) {
                Ok(Some(data)) => {
                    got = true;
                    want = take(data);
                    if want == 0 {
                        break Ok(());
                    }
                }
                Ok(None) => {
                    drop(state);
                    self.over = true;
                    self.cell().kick();
                    return Poll::Ready(Ok(()));
                }
                Err(stream::ReadError::Blocked) if got => break Ok(()),
                Err(stream::ReadError::Blocked) => {
                    state.check()?;
                    state.readers.insert(self.id, cx.waker().clone());
                    return Poll::Pending;
                }
                Err(stream::ReadError::Reset(_)) if got => break Ok(()),
                Err(stream::ReadError::Reset(code)) => break Err(ReadError::Reset(code)),
                Err(stream::ReadError::Closed) => break Err(ReadError::Closed),
            }
        };
        let wants = state.core.wants_to_send();
        drop(state);
        self.over = result.is_err();
        if wants {
            self.cell().kick();
        }
        Poll::Ready(result)
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.stop(0);
        }
        self.cell().lock().readers.remove(&self.id);
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let want = buffer.remaining();
        if want == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = self.get_mut().poll_with(cx, want, |data| {
            buffer.put_slice(&data);
            buffer.remaining()
        });
        Poll::Ready(Ok(ready!(read)?))
    }
}
