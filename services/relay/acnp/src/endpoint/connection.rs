//! A connection as the application holds it.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    cell::{Cell, State},
    error::{ConnectionError, SendDatagramError, WriteError},
    stream::{RecvStream, SendStream},
};
use crate::proto::{
    Direction, PathId,
    close::Code,
    congestion::Mode,
    connection::{PathStats, Stats},
    handshake::PublicKey,
    stream::Priority,
};

/// What the handles of a connection and of its streams have in common: with the last of them the connection is closed, once all that was
/// written has arrived.
pub(super) struct Owner {
    pub(super) cell: Arc<Cell>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut state = self.cell.lock();
        state.close_when_sent.get_or_insert((Code::NO_ERROR, Bytes::new()));
        drop(state);
        self.cell.kick();
    }
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connection").field(&self.cell.handle.0).finish()
    }
}

/// A connection; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Owner>);

impl Connection {
    pub(super) fn new(cell: Arc<Cell>) -> Self {
        Self(Arc::new(Owner { cell }))
    }

    fn cell(&self) -> &Arc<Cell> {
        &self.0.cell
    }

    /// Waits for the handshake; says whether data that was sent before it was taken, which is true of a server's end.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn established(&self) -> Result<bool, ConnectionError> {
        self.wait(&self.cell().changed.established, |state| state.established).await
    }

    /// Opens a stream in both directions; waits while the peer allows no more.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn open_stream(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let open = |state: &mut State| {
            if state.error.is_some() { None } else { state.core.open(Direction::Bi) }
        };
        let id = self.wait(&self.cell().changed.available, open).await?;
        Ok(self.parts(id))
    }

    /// The next stream that the peer opened.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn accept_stream(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let accept = |state: &mut State| state.core.accept_stream(Direction::Bi);
        let id = self.wait(&self.cell().changed.opened, accept).await?;
        Ok(self.parts(id))
    }

    fn parts(&self, id: crate::proto::StreamId) -> (SendStream, RecvStream) {
        (SendStream::new(Arc::clone(&self.0), id), RecvStream::new(Arc::clone(&self.0), id))
    }

    /// Sends a message; waits until all of it is taken, not until it has arrived. Dropped before that, the message is not sent.
    ///
    /// # Errors
    /// The connection is over, or the peer does not want the message.
    pub async fn send_message(&self, message: Bytes) -> Result<(), WriteError> {
        self.send_message_with(message, Priority::default()).await
    }

    /// [`Self::send_message`] with another priority than the default.
    ///
    /// # Errors
    /// As there.
    pub async fn send_message_with(&self, message: Bytes, priority: Priority) -> Result<(), WriteError> {
        let open = |state: &mut State| {
            if state.error.is_some() { None } else { state.core.open(Direction::Uni) }
        };
        let id = self.wait(&self.cell().changed.available, open).await?;
        let mut stream = Unsent(SendStream::new(Arc::clone(&self.0), id), false);
        if priority != Priority::default() {
            stream.0.set_priority(priority);
        }
        stream.0.write_chunks(message).await?;
        stream.1 = true;
        stream.0.finish()
    }

    /// The next message that is whole, in whatever order they were sent.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn read_message(&self) -> Result<Bytes, ConnectionError> {
        let cell = self.cell();
        let next = |state: &mut State| {
            let State { messages, core, .. } = state;
            let (message, read) = messages.next(core);
            if read {
                cell.kick();
            }
            message
        };
        self.wait(&cell.changed.messages, next).await
    }

    /// Changes what the connection is for, while it runs: how congestion is controlled.
    pub fn set_mode(&self, mode: Mode) {
        self.cell().lock().core.set_congestion(mode);
        self.cell().kick();
    }

    /// Sends a datagram, once; if too many wait already, the oldest is dropped.
    ///
    /// # Errors
    /// See [`SendDatagramError`].
    pub fn send_datagram(&self, data: Bytes) -> Result<(), SendDatagramError> {
        let mut state = self.cell().lock();
        state.check()?;
        state.core.send_datagram(data)?;
        drop(state);
        self.cell().kick();
        Ok(())
    }

    /// The next datagram that came.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        self.wait(&self.cell().changed.datagrams, |state| state.core.read_datagram()).await
    }

    /// Bytes of the largest datagram now; `None` if the peer takes none.
    #[must_use]
    pub fn datagram_len_max(&self) -> Option<usize> {
        self.cell().lock().core.datagram_len_max()
    }

    /// Closes at once, with a code and a reason of the application's: what has not arrived is lost.
    pub fn close(&self, code: Code, reason: Bytes) {
        let now = self.cell().hub.now();
        self.cell().lock().core.close(now, code, reason);
        self.cell().kick();
    }

    /// Waits until all that was written has arrived, then closes.
    ///
    /// # Errors
    /// The connection is over before.
    pub async fn close_when_sent(&self, code: Code, reason: Bytes) -> Result<(), ConnectionError> {
        self.wait(&self.cell().changed.sent, |state| {
            (state.error.is_none() && state.is_sent()).then_some(())
        })
        .await?;
        self.close(code, reason);
        Ok(())
    }

    /// Waits for the end of the connection; gives its reason.
    pub async fn closed(&self) -> ConnectionError {
        let over = self.wait(&self.cell().changed.closed, |_| None::<std::convert::Infallible>).await;
        match over {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    /// The reason of the connection's end, if it is over.
    #[must_use]
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.cell().lock().error.clone()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.cell().lock().core.stats()
    }

    /// What was counted on the first path.
    #[must_use]
    pub fn path_stats(&self) -> Option<PathStats> {
        self.cell().lock().core.path_stats(PathId::FIRST)
    }

    /// The peer's address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.cell().lock().core.remote()
    }

    /// The key that the peer has shown, if it has one.
    #[must_use]
    pub fn peer_key(&self) -> Option<PublicKey> {
        self.cell().lock().core.peer_key()
    }

    /// Bytes that were written and have not arrived.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.cell().lock().core.buffered()
    }

    /// Waits until `look` finds what it looks for.
    async fn wait<T>(
        &self,
        bell: &Notify,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        loop {
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            {
                let mut state = self.cell().lock();
                if let Some(found) = look(&mut state) {
                    return Ok(found);
                }
                state.check()?;
                if state.core.wants_to_send() {
                    self.cell().kick();
                }
            }
            rung.await;
        }
    }
}

/// A message of which not all is taken yet: dropped, it is given up.
struct Unsent(SendStream, bool);

impl Drop for Unsent {
    fn drop(&mut self) {
        if !self.1 {
            let _ = self.0.reset(0);
        }
    }
}
