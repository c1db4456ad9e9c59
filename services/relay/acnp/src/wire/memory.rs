//! The wire within one process: a simulated path of a given delay, loss and disorder, the same for the same seed.
//!
//! It keeps tokio's time, so under a paused clock a conversation of minutes takes no time. It is a real wire of small size, held to
//! the same suite as the others.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Carrier, Ecn, Inbox, Outbox, Step, Transmit, Wire,
    inbox::{Arrival, INBOX_SLOTS},
    outbox::CALL_BYTES_MAX,
};

/// Datagrams that may be on their way to one wire; more overflow, and are counted.
const QUEUE_DATAGRAMS_MAX: usize = 1 << 16;

/// Datagrams of one transmit, as for the other wires.
const SEGMENTS_MAX: usize = 64;

/// What a path does to the datagrams that take it.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// How long a datagram takes.
    pub delay: Duration,
    /// The share of datagrams that are lost, 0 to 1, each on its own.
    pub loss: f64,
    /// The share of datagrams that are held back, 0 to 1, so that later ones overtake them.
    pub reorder: f64,
    /// How long those are held back.
    pub held_back: Duration,
    /// Bytes of the largest datagram; larger ones are refused as a device refuses them.
    pub datagram_bytes_max: usize,
}

impl Default for Path {
    /// A path without delay or loss that takes the datagrams of an Ethernet.
    fn default() -> Self {
        let none = Duration::ZERO;
        Path { delay: none, loss: 0.0, reorder: 0.0, held_back: none, datagram_bytes_max: 1472 }
    }
}

/// Wires that reach each other by addresses of their own.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    path: Path,
    random: ChaCha8Rng,
    queues: HashMap<SocketAddr, Queue>,
    /// Datagrams sent so far: keeps the order of those that arrive at once.
    sequence: u64,
}

#[derive(Default)]
struct Queue {
    flying: BinaryHeap<Reverse<Flying>>,
    overflowed: u64,
    waker: Option<Waker>,
}

/// A datagram on its way, ordered by its arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    arrives: Instant,
    sequence: u64,
    remote: SocketAddr,
    ecn: u8,
    contents: Vec<u8>,
}

impl Network {
    /// A network whose paths are all alike; the same seed loses and holds back the same datagrams.
    pub fn new(path: Path, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Network(Arc::new(Mutex::new(State { path, random, queues: HashMap::new(), sequence: 0 })))
    }

    /// A wire at an address that no other wire of the network has.
    pub fn wire(&self, local: SocketAddr) -> io::Result<Wire> {
        let mut state = self.lock();
        if state.queues.contains_key(&local) {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        state.queues.insert(local, Queue::default());
        let timer = Mutex::new(Box::pin(sleep_until(Instant::now())));
        Ok(Wire::new(Carrier::Memory(Memory { network: self.clone(), local, timer })))
    }

    /// Changes what the paths do to datagrams that are sent from now on.
    pub fn change(&self, path: Path) {
        self.lock().path = path;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One end in a [`Network`].
pub(super) struct Memory {
    network: Network,
    local: SocketAddr,
    timer: Mutex<Pin<Box<Sleep>>>,
}

impl Memory {
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn segments_max(&self) -> usize {
        SEGMENTS_MAX
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.network.lock().queues.get(&self.local).map_or(0, |queue| queue.overflowed)
    }

    /// Fills the inbox with what has arrived; what is on its way wakes the task when it arrives.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        let mut state = self.network.lock();
        let Some(queue) = state.queues.get_mut(&self.local) else { return Poll::Pending };
        queue.waker = Some(cx.waker().clone());
        loop {
            let now = Instant::now();
            for slot in 0..INBOX_SLOTS {
                let Some(datagram) = queue.take(now) else { break };
                let arrival = deliver(&datagram, self.local, inbox.slot(slot));
                inbox.fill(slot, arrival);
            }
            let Some(Reverse(next)) = queue.flying.peek() else { break };
            let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
            timer.as_mut().reset(next.arrives);
            if !inbox.is_empty() || timer.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        if inbox.is_empty() { Poll::Pending } else { Poll::Ready(Ok(0)) }
    }

    /// Sends the head of the outbox.
    pub(super) fn send(&self, outbox: &Outbox) -> Poll<io::Result<Step>> {
        let mut state = self.network.lock();
        let Some((transmit, datagrams)) = outbox.head(SEGMENTS_MAX) else {
            return Poll::Ready(Ok(Step::Sent(0)));
        };
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        if segment > state.path.datagram_bytes_max.min(CALL_BYTES_MAX) {
            let error = io::Error::from_raw_os_error(libc::EMSGSIZE);
            return Poll::Ready(Ok(Step::Failed { datagrams, error }));
        }
        for contents in transmit.contents.chunks(segment) {
            state.fly(self.local, Transmit { contents, ..transmit });
        }
        Poll::Ready(Ok(Step::Sent(datagrams)))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.network.lock().queues.remove(&self.local);
    }
}

impl State {
    /// Puts one datagram on its way, unless it is lost.
    fn fly(&mut self, from: SocketAddr, datagram: Transmit<'_>) {
        let lost = self.random.random_bool(self.path.loss);
        let held_back = self.random.random_bool(self.path.reorder);
        let late = if held_back { self.path.held_back } else { Duration::ZERO };
        self.sequence += 1;
        let Some(queue) = self.queues.get_mut(&datagram.destination).filter(|_| !lost) else { return };
        queue.put(Flying {
            arrives: Instant::now() + self.path.delay + late,
            sequence: self.sequence,
            remote: from,
            ecn: Ecn::bits(datagram.ecn),
            contents: datagram.contents.to_vec(),
        });
    }
}

impl Queue {
    fn put(&mut self, datagram: Flying) {
        if self.flying.len() >= QUEUE_DATAGRAMS_MAX {
            self.overflowed += 1;
            return;
        }
        self.flying.push(Reverse(datagram));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn take(&mut self, now: Instant) -> Option<Flying> {
        self.flying.peek().filter(|next| next.0.arrives <= now)?;
        self.flying.pop().map(|next| next.0)
    }
}

fn deliver(datagram: &Flying, local: SocketAddr, slot: &mut [u8]) -> Arrival {
    let length = datagram.contents.len();
    slot[..length].copy_from_slice(&datagram.contents);
    Arrival {
        start: 0,
        end: length,
        stride: length,
        remote: datagram.remote,
        local: Some(local.ip()),
        ecn: Ecn::from_bits(datagram.ecn),
    }
}
