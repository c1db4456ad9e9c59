//! What an endpoint's driver and everybody else share.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::{cell::Cell, qlog};
use crate::{
    proto::{
        Time,
        connection::Connection,
        listener::{Handle, Listener},
    },
    wire::Wire,
};

/// Servers whose tokens are remembered.
const TOKENS_MAX: usize = 1024;

/// What an endpoint's driver and everybody else share.
pub(super) struct Hub {
    pub(super) wire: Wire,
    /// The beginning of the protocol's time.
    epoch: Instant,
    pub(super) listener: Mutex<Listener>,
    queue: Mutex<Queue>,
    tokens: Mutex<HashMap<SocketAddr, Bytes>>,
    /// Where logs of connections go, if anywhere.
    qlog: Option<PathBuf>,
    /// A connection came in, or none will any more.
    pub(super) came: Notify,
    /// There is no connection any more.
    pub(super) idle: Notify,
}

/// What waits for the driver, and what it has left for the application.
#[derive(Default)]
pub(super) struct Queue {
    /// Connections that the application has begun.
    pub(super) begun: Vec<Arc<Cell>>,
    /// Connections of which the application wants something.
    pub(super) asked: Vec<Arc<Cell>>,
    /// Connections that came in.
    pub(super) came: VecDeque<Arc<Cell>>,
    pub(super) waker: Option<Waker>,
    /// No connection is accepted any more.
    pub(super) closed: bool,
    /// The driver is gone.
    pub(super) stopped: bool,
    /// Nobody holds the endpoint any more: the driver stops with the last connection.
    pub(super) orphaned: bool,
    /// Connections that the driver keeps.
    pub(super) connections: usize,
}

impl Hub {
    pub(super) fn new(wire: Wire, epoch: Instant, listener: Listener, qlog: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            wire,
            epoch,
            listener: Mutex::new(listener),
            queue: Mutex::default(),
            tokens: Mutex::default(),
            qlog,
            came: Notify::new(),
            idle: Notify::new(),
        })
    }

    pub(super) fn now(&self) -> Time {
        Time::from_nanos(u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment that the protocol calls `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.epoch + std::time::Duration::from_nanos(time.as_nanos())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listener(&self) -> MutexGuard<'_, Listener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the driver look at a connection.
    pub(super) fn queue(&self, cell: &Arc<Cell>) {
        self.tell(|queue| {
            if !queue.stopped {
                queue.asked.push(Arc::clone(cell));
            }
        });
    }

    /// Changes the queue and wakes the driver.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.lock();
        change(&mut queue);
        let waker = queue.waker.take();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Has a connection's events written down, if that is asked for.
    pub(super) fn watch(&self, handle: Handle, core: &mut Connection) {
        let Some(folder) = &self.qlog else { return };
        match qlog::create(folder, core.side(), handle) {
            Ok(log) => core.set_observer(Box::new(log)),
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "no qlog file could be made"),
        }
    }

    /// The token that a server gave last, which is used once.
    pub(super) fn take_token(&self, server: SocketAddr) -> Bytes {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&server).unwrap_or_default()
    }

    pub(super) fn keep_token(&self, server: SocketAddr, token: Bytes) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() < TOKENS_MAX || tokens.contains_key(&server) {
            tokens.insert(server, token);
        }
    }
}
