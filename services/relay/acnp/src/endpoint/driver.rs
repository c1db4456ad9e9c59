//! The task behind an endpoint: datagrams in batches to their connections, and what these have to send, in batches to the wire.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Sleep, sleep_until};

use super::{
    cell::{Cell, State},
    error::ConnectionError,
    hub::Hub,
};
use crate::{
    proto::{
        Meta, Time, Transmit,
        close::Code,
        connection::Demand,
        listener::{Handle, Routed},
    },
    wire::{self, Inbox, Outbox, Received},
};

/// Bytes that a connection may send before the next one has its turn.
const TURN_BYTES: usize = 256 * 1024;
/// Bytes that one transmit holds at most: what fits one IPv4 packet.
const TRANSMIT_BYTES_MAX: usize = 65_000;
/// Transmits below this many bytes are gathered, so that a wire can send several by one call.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// A connection that has had its turn is not looked at again before this, unless something comes.
const TIMER_MIN: Duration = Duration::from_micros(100);
/// Rounds of receiving and sending before the runtime's other tasks have their turn.
const ROUNDS: usize = 8;
/// Connections that wait to be accepted; more are refused.
const WAITING_MAX: usize = 1024;

/// A connection as the driver keeps it.
struct Kept {
    cell: Arc<Cell>,
    timer: Option<Time>,
}

/// The task's state.
pub(super) struct Driver {
    hub: Arc<Hub>,
    connections: HashMap<Handle, Kept>,
    timers: BTreeSet<(Time, Handle)>,
    /// Connections that have to be looked at, in turn.
    active: BTreeSet<Handle>,
    sleep: Pin<Box<Sleep>>,
    sleeps_until: Option<Time>,
    inbox: Inbox,
    outbox: Outbox,
    /// Those whose turn was over before they were.
    again: Vec<Handle>,
    /// Datagrams of one transmit.
    datagrams_max: usize,
    /// Where a connection writes what it sends.
    buffer: Vec<u8>,
    reply: Vec<u8>,
}

impl Driver {
    pub(super) fn new(hub: Arc<Hub>, payload_len_max: usize) -> Self {
        Self {
            sleep: Box::pin(sleep_until(hub.instant(Time::ZERO))),
            hub,
            connections: HashMap::new(),
            timers: BTreeSet::new(),
            active: BTreeSet::new(),
            sleeps_until: None,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            again: Vec::new(),
            datagrams_max: (TRANSMIT_BYTES_MAX / payload_len_max.max(1)).max(1),
            buffer: Vec::new(),
            reply: Vec::new(),
        }
    }

    /// One round; says whether anything was done. An error means that the wire is broken.
    fn round(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        self.take_asked();
        let received = self.receive(cx)?;
        self.expire(cx);
        let sent = self.send(cx)?;
        Ok(received || sent)
    }

    /// Takes what the application has begun and asked for.
    fn take_asked(&mut self) {
        let (begun, asked) = {
            let mut queue = self.hub.lock();
            queue.connections = self.connections.len() + queue.begun.len();
            (std::mem::take(&mut queue.begun), std::mem::take(&mut queue.asked))
        };
        for cell in begun {
            self.keep(cell);
        }
        for cell in asked {
            cell.unqueue();
            self.active.insert(cell.handle);
        }
    }

    fn keep(&mut self, cell: Arc<Cell>) {
        self.active.insert(cell.handle);
        self.connections.insert(cell.handle, Kept { cell, timer: None });
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        let hub = Arc::clone(&self.hub);
        match hub.wire.poll_recv(cx, &mut self.inbox) {
            Poll::Pending => return Ok(false),
            Poll::Ready(received) => received?,
        }
        let now = hub.now();
        let mut inbox = std::mem::take(&mut self.inbox);
        for received in inbox.received() {
            let Received { remote, local, ecn, .. } = received;
            let meta = Meta { remote, local, ecn };
            received.datagrams().for_each(|datagram| self.take(now, &meta, datagram));
        }
        self.inbox = inbox;
        Ok(true)
    }

    fn take(&mut self, now: Time, meta: &Meta, datagram: &mut [u8]) {
        let routed = self.hub.listener().handle(now, meta, datagram, &mut self.reply);
        match routed {
            Routed::To(handle) => {
                if let Some(kept) = self.connections.get(&handle) {
                    kept.cell.lock().core.handle(now, meta, datagram);
                    self.active.insert(handle);
                }
            }
            Routed::New(handle, connection) => {
                self.on_new(now, Cell::new(handle, Arc::clone(&self.hub), *connection));
            }
            Routed::Reply(transmit) => self.outbox.push(&outgoing(&transmit, &self.reply)),
            Routed::Dropped => {}
        }
    }

    /// A connection came in: the application gets it, unless it has closed the door or does not keep up.
    fn on_new(&mut self, now: Time, cell: Arc<Cell>) {
        self.keep(Arc::clone(&cell));
        let mut queue = self.hub.lock();
        if queue.closed || queue.came.len() >= WAITING_MAX {
            let code = if queue.closed { Code::REFUSED } else { Code::OVERLOADED };
            drop(queue);
            cell.lock().core.close(now, code, Bytes::new());
        } else {
            queue.came.push_back(cell);
            drop(queue);
            self.hub.came.notify_waiters();
        }
    }

    /// Lets the connections act whose time has come, and sleeps until the next one's.
    fn expire(&mut self, cx: &mut Context<'_>) {
        let now = self.hub.now();
        while let Some((at, handle)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            let Some(kept) = self.connections.get_mut(&handle) else { continue };
            kept.timer = None;
            self.active.insert(handle);
        }
        let next = self.timers.first().map(|(at, _)| *at);
        let Some(next) = next else { return };
        if self.sleeps_until != Some(next) {
            self.sleep.as_mut().reset(self.hub.instant(next));
            self.sleeps_until = Some(next);
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            // It is late by less than the runtime's clock tells apart, or by now over.
            self.sleeps_until = None;
            cx.waker().wake_by_ref();
        }
    }

    /// Sends what connections have to send, each in its turn, until the wire takes no more; says whether anything was.
    fn send(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        let mut sent = false;
        if !self.flush(cx)? {
            return Ok(sent);
        }
        while let Some(handle) = self.active.pop_first() {
            sent = true;
            match self.turn(cx, handle)? {
                Turn::Over => {}
                Turn::Again => self.again.push(handle),
                Turn::Full => {
                    self.again.push(handle);
                    break;
                }
            }
        }
        self.active.extend(self.again.drain(..));
        self.flush(cx)?;
        Ok(sent)
    }

    /// Whether the outbox is empty now.
    fn flush(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        let done = match self.hub.wire.poll_send(cx, &mut self.outbox) {
            Poll::Pending => false,
            Poll::Ready(sent) => sent.map(|()| true)?,
        };
        for failure in self.outbox.failures() {
            tracing::debug!(?failure, "datagrams were not sent");
        }
        Ok(done)
    }

    /// One connection's turn.
    fn turn(&mut self, cx: &mut Context<'_>, handle: Handle) -> std::io::Result<Turn> {
        let Some(kept) = self.connections.get(&handle) else { return Ok(Turn::Over) };
        let (cell, mut bytes) = (Arc::clone(&kept.cell), 0);
        let mut state = cell.lock();
        let now = self.hub.now();
        if state.core.poll_timeout().is_some_and(|at| at <= now) {
            state.core.handle_timeout(now);
        }
        let token = cell.deliver(&mut state);
        state.close_if_sent(now);
        let turn = loop {
            if serve(&self.hub, &cell, &mut state) {
                cell.deliver(&mut state);
                drop(state);
                self.forget(handle);
                return Ok(Turn::Over);
            }
            if bytes >= TURN_BYTES {
                break Turn::Again;
            }
            let datagrams = self.hub.wire.segments_max().clamp(1, self.datagrams_max);
            let Some(transmit) = state.core.poll_transmit(now, datagrams, &mut self.buffer) else {
                break Turn::Over;
            };
            bytes += self.buffer.len();
            if !self.dispatch(cx, &transmit)? {
                break Turn::Full;
            }
        };
        cell.deliver(&mut state);
        let timer = state.core.poll_timeout();
        let timer = timer.map(|at| if matches!(turn, Turn::Over) { at.max(now + TIMER_MIN) } else { at });
        let remote = state.core.remote();
        drop(state);
        token.into_iter().for_each(|token| self.hub.keep_token(remote, token));
        self.set_timer(handle, timer);
        Ok(turn)
    }

    /// Hands what is in the buffer on; says whether the wire takes more.
    fn dispatch(&mut self, cx: &mut Context<'_>, transmit: &Transmit) -> std::io::Result<bool> {
        if self.outbox.is_empty() && self.buffer.len() > GATHERED_BYTES_MAX {
            self.outbox.give(&outgoing(transmit, &[]), &mut self.buffer);
        } else {
            self.outbox.push(&outgoing(transmit, &self.buffer));
        }
        if self.outbox.waiting_bytes() > GATHERED_BYTES_MAX { self.flush(cx) } else { Ok(true) }
    }

    fn set_timer(&mut self, handle: Handle, timer: Option<Time>) {
        let Some(kept) = self.connections.get_mut(&handle) else { return };
        if kept.timer == timer {
            return;
        }
        kept.timer.map(|at| self.timers.remove(&(at, handle)));
        kept.timer = timer;
        self.timers.extend(timer.map(|at| (at, handle)));
    }

    fn forget(&mut self, handle: Handle) {
        self.set_timer(handle, None);
        self.connections.remove(&handle);
    }

    /// Whether nobody needs the driver any more. Says how many connections there are to those who wait until there are none.
    fn is_over(&self) -> bool {
        let mut queue = self.hub.lock();
        queue.connections = self.connections.len() + queue.begun.len();
        let idle = queue.connections == 0;
        let over = idle && queue.orphaned && self.outbox.is_empty();
        drop(queue);
        if idle {
            self.hub.idle.notify_waiters();
        }
        over
    }

    /// The wire is broken, or the runtime ends: everybody hears of it.
    fn stop(&mut self) {
        self.take_asked();
        for (_, kept) in self.connections.drain() {
            kept.cell.end(&mut kept.cell.lock(), ConnectionError::Stopped);
        }
        let mut queue = self.hub.lock();
        (queue.stopped, queue.closed, queue.connections) = (true, true, 0);
        drop(queue);
        self.hub.came.notify_waiters();
        self.hub.idle.notify_waiters();
    }
}

/// What a turn has left.
enum Turn {
    /// Nothing.
    Over,
    /// More to send.
    Again,
    /// Perhaps more to send, which the wire does not take now.
    Full,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.hub.lock().waker = Some(cx.waker().clone());
        for _ in 0..ROUNDS {
            match self.round(cx) {
                Ok(true) => {}
                Ok(false) if self.is_over() => return Poll::Ready(()),
                Ok(false) => return Poll::Pending,
                Err(error) => {
                    tracing::error!(%error, wire = self.hub.wire.name(), "the wire is broken");
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Does what a connection needs of the listener; says whether it needs nothing any more.
fn serve(hub: &Hub, cell: &Cell, state: &mut State) -> bool {
    let mut drained = false;
    while let Some(demand) = state.core.poll_demand() {
        let ids = hub.listener().serve(cell.handle, &demand);
        match demand {
            Demand::Ids { path, .. } => state.core.supply_ids(path, ids),
            Demand::Drained => drained = true,
            _ => {}
        }
    }
    drained
}

fn outgoing<'a>(transmit: &Transmit, contents: &'a [u8]) -> wire::Transmit<'a> {
    wire::Transmit {
        destination: transmit.remote,
        source: transmit.local,
        ecn: transmit.ecn,
        contents,
        segment_size: transmit.segment_size,
    }
}
