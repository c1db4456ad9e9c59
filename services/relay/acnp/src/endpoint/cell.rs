//! A connection as its driver and the application share it.
//!
//! Locks are taken in this order: the endpoint's listener, a connection's state, the endpoint's queue.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{error::ConnectionError, hub::Hub, messages::Messages};
use crate::proto::{
    StreamId, Time,
    close::Code,
    connection::{Connection, Event},
    listener::Handle,
    stream::StreamEvent,
};

/// A connection, and those who wait for it.
pub(super) struct Cell {
    pub(super) handle: Handle,
    pub(super) hub: Arc<Hub>,
    state: Mutex<State>,
    /// Whether it stands in the queue of those that the driver has to look at.
    queued: AtomicBool,
    /// Something in general has changed: established, closed, a stream to accept or to open, a datagram, all acknowledged.
    pub(super) changed: Changes,
}

/// One bell for each kind of waiter, so that none is rung for nothing.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) established: Notify,
    pub(super) opened: Notify,
    pub(super) available: Notify,
    pub(super) messages: Notify,
    pub(super) datagrams: Notify,
    pub(super) sent: Notify,
    pub(super) closed: Notify,
}

impl Changes {
    fn all(&self) {
        let Self { established, opened, available, messages, datagrams, sent, closed } = self;
        let bells = [established, opened, available, messages, datagrams, sent, closed];
        bells.into_iter().for_each(Notify::notify_waiters);
    }
}

/// How the sending part of a stream has ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// All of it has arrived.
    Arrived,
    /// The peer wanted no more, for this reason.
    Stopped(u64),
}

/// What is under the lock.
pub(super) struct State {
    pub(super) core: Connection,
    pub(super) readers: HashMap<StreamId, Waker>,
    pub(super) writers: HashMap<StreamId, Waker>,
    /// How streams that the application still sends on, or waits for, have ended.
    pub(super) endings: HashMap<StreamId, Option<Ending>>,
    pub(super) messages: Messages,
    /// `Some` once the handshake is over: whether early data was taken.
    pub(super) established: Option<bool>,
    pub(super) error: Option<ConnectionError>,
    /// Streams that were finished and of which not all has arrived.
    pub(super) unarrived: HashSet<StreamId>,
    /// How to close once all that was written has arrived.
    pub(super) close_when_sent: Option<(Code, Bytes)>,
}

impl State {
    /// Fails once the connection is over.
    pub(super) fn check(&self) -> Result<(), ConnectionError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Whether all that was written and finished has arrived.
    pub(super) fn is_sent(&self) -> bool {
        self.core.buffered() == 0 && self.unarrived.is_empty()
    }

    /// Closes if that was asked for and nothing is on its way any more.
    pub(super) fn close_if_sent(&mut self, now: Time) {
        if self.close_when_sent.is_some() && self.is_sent() {
            let (code, reason) = self.close_when_sent.take().unwrap_or((Code::NO_ERROR, Bytes::new()));
            self.core.close(now, code, reason);
        }
    }
}

impl Cell {
    pub(super) fn new(handle: Handle, hub: Arc<Hub>, mut core: Connection) -> Arc<Self> {
        hub.watch(handle, &mut core);
        let state = State {
            core,
            readers: HashMap::new(),
            writers: HashMap::new(),
            endings: HashMap::new(),
            messages: Messages::default(),
            established: None,
            error: None,
            unarrived: HashSet::new(),
            close_when_sent: None,
        };
        Arc::new(Self {
            handle,
            hub,
            state: Mutex::new(state),
            queued: AtomicBool::new(false),
            changed: Changes::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the driver look at the connection: the application has asked something of it.
    pub(super) fn kick(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.hub.queue(self);
        }
    }

    /// The driver looks at it now.
    pub(super) fn unqueue(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// Passes the core's events on to those who wait for them. Gives a token for the next connection, if one came.
    pub(super) fn deliver(&self, state: &mut State) -> Option<Bytes> {
        let mut token = None;
        while let Some(event) = state.core.poll_event() {
            match event {
                Event::Connected { early_accepted } => {
                    state.established = Some(early_accepted);
                    self.changed.established.notify_waiters();
                }
                Event::Stream(event) => self.deliver_stream(state, event),
                Event::Datagram => self.changed.datagrams.notify_waiters(),
                Event::NewToken(new) => token = Some(new),
                Event::Moved { path, remote } => tracing::debug!(?path, %remote, "the peer has moved"),
                Event::Closed(reason) => self.end(state, reason.into()),
            }
        }
        if state.is_sent() {
            self.changed.sent.notify_waiters();
        }
        token
    }

    fn deliver_stream(&self, state: &mut State, event: StreamEvent) {
        match event {
            StreamEvent::Opened(crate::proto::Direction::Bi) => self.changed.opened.notify_waiters(),
            StreamEvent::Opened(crate::proto::Direction::Uni) => self.changed.messages.notify_waiters(),
            StreamEvent::Readable(id) => {
                if state.messages.on_readable(id) {
                    self.changed.messages.notify_waiters();
                } else if let Some(waker) = state.readers.remove(&id) {
                    waker.wake();
                }
            }
            StreamEvent::Writable(id) | StreamEvent::Finished(id) | StreamEvent::Stopped(id, _) => {
                if event != StreamEvent::Writable(id) {
                    state.unarrived.remove(&id);
                }
                if let (false, Some(ending)) =
                    (event == StreamEvent::Writable(id), state.endings.get_mut(&id))
                {
                    *ending = Some(match event {
                        StreamEvent::Stopped(_, code) => Ending::Stopped(code),
                        _ => Ending::Arrived,
                    });
                }
                if let Some(waker) = state.writers.remove(&id) {
                    waker.wake();
                }
            }
            StreamEvent::Available(_) => self.changed.available.notify_waiters(),
        }
    }

    /// It is over: everybody who waits hears of it.
    pub(super) fn end(&self, state: &mut State, error: ConnectionError) {
        state.error.get_or_insert(error);
        let wakers = state.readers.drain().chain(state.writers.drain());
        wakers.for_each(|(_, waker)| waker.wake());
        self.changed.all();
    }
}
