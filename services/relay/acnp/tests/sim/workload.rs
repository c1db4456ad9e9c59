//! What two applications ask of a connection, and whether they got it: every byte checked, every event relied upon.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::LazyLock,
    time::Duration,
};

use bytes::Bytes;
use lowland_acnp::proto::{
    Direction, Side, StreamId, Time,
    connection::{Connection, Event},
    stream::{Priority, ReadError, StreamEvent, WriteError},
};

use super::{Host, World, established};

/// Length of the pattern that all content is cut from: a prime, so that what is shifted shows.
const PATTERN: u64 = 65_521;
/// Code of resets and stops here.
const CODE: u64 = 77;

static CONTENT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pattern: Vec<u8> = (0..PATTERN).map(|_| next()).collect();
    pattern.iter().cycle().take(PATTERN as usize + (1 << 17)).copied().collect::<Vec<_>>().into()
});

/// The content of a direction of a stream from `at` on, at most 128 KiB of it.
fn content(side: Side, stream: StreamId, at: u64, len: u64) -> Bytes {
    let of = stream.index() * 31 + stream.direction() as u64 * 7 + stream.opener() as u64 * 3 + side as u64;
    let from = ((of * 257 + at) % PATTERN) as usize;
    CONTENT.slice(from..from + len.min(1 << 17) as usize)
}

/// How a writer or reader lets go of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is written and read.
    Whole,
    /// The writer gives up after so many bytes.
    Reset(u64),
    /// The reader wants no more after so many bytes.
    Stop(u64),
}

/// A stream to be opened, written, and read at the other end.
#[derive(Debug, Clone)]
pub struct Job {
    pub from: Side,
    /// Bytes that go there; and, if so, back once all of it was read.
    pub len: u64,
    pub answer: Option<u64>,
    pub at: Duration,
    pub repeatable: bool,
    pub priority: Priority,
    /// Most bytes of a write.
    pub chunk: u64,
    /// The reader takes so many bytes at once, and rests so long.
    pub rests: Option<(usize, Duration)>,
    pub ending: Ending,
}

impl Job {
    pub fn new(from: Side, len: u64) -> Self {
        Self {
            from,
            len,
            answer: None,
            at: Duration::ZERO,
            repeatable: false,
            priority: Priority::default(),
            chunk: 1 << 16,
            rests: None,
            ending: Ending::Whole,
        }
    }

    pub fn answered(self, answer: u64) -> Self {
        Self { answer: Some(answer), ..self }
    }

    pub fn at(self, at: Duration) -> Self {
        Self { at, ..self }
    }
}

/// Datagrams that are sent together.
#[derive(Debug, Clone)]
pub struct Volley {
    pub from: Side,
    pub count: u32,
    pub len: usize,
    pub at: Duration,
}

#[derive(Debug)]
struct Out {
    at: u64,
    len: u64,
    chunk: u64,
    reset_after: Option<u64>,
    ended: bool,
    over: bool,
}

#[derive(Debug)]
struct In {
    at: u64,
    len: u64,
    rests: Option<(usize, Duration)>,
    again: Option<Time>,
    ending: Ending,
    answer: Option<u64>,
    over: bool,
}

#[derive(Debug, Default)]
struct End {
    out: BTreeMap<StreamId, Out>,
    read: BTreeMap<StreamId, In>,
    datagrams: BTreeSet<u32>,
}

/// A workload under way.
#[derive(Debug)]
pub struct Workload {
    waiting: VecDeque<Job>,
    volleys: VecDeque<Volley>,
    jobs: BTreeMap<StreamId, Job>,
    ends: [End; 2],
    sent: u32,
    pub events: u64,
}

impl Workload {
    pub fn new(mut jobs: Vec<Job>, mut volleys: Vec<Volley>) -> Self {
        jobs.sort_by_key(|job| job.at);
        volleys.sort_by_key(|volley| volley.at);
        Self {
            waiting: jobs.into(),
            volleys: volleys.into(),
            jobs: BTreeMap::new(),
            ends: [End::default(), End::default()],
            sent: 0,
            events: 0,
        }
    }

    /// Whether everything was written, read to its end and acknowledged.
    pub fn is_done(&self) -> bool {
        let over =
            |end: &End| end.out.values().all(|out| out.over) && end.read.values().all(|read| read.over);
        let known = |(id, job): (&StreamId, &Job)| {
            job.ending != Ending::Whole || self.ends[job.from.peer() as usize].read.contains_key(id)
        };
        self.waiting.is_empty()
            && self.volleys.is_empty()
            && self.ends.iter().all(over)
            && self.jobs.iter().all(known)
    }

    /// Bytes that were read.
    pub fn read(&self) -> u64 {
        self.ends.iter().flat_map(|end| end.read.values()).map(|read| read.at).sum()
    }

    /// Datagrams that came to a side.
    pub fn datagrams(&self, side: Side) -> usize {
        self.ends[side as usize].datagrams.len()
    }

    /// What is not over, for those who want to know why.
    pub fn open(&self) -> String {
        let of = |end: &End| {
            let out: Vec<_> = end.out.iter().filter(|(_, out)| !out.over).take(4).collect();
            let read: Vec<_> = end.read.iter().filter(|(_, read)| !read.over).take(4).collect();
            format!("writes {out:?} reads {read:?}")
        };
        let [client, server] = &self.ends;
        format!("{} to open; client {}; server {}", self.waiting.len(), of(client), of(server))
    }

    /// Lets both applications do what they can now.
    pub fn drive(&mut self, world: &mut World) {
        let now = world.now;
        for side in [Side::Client, Side::Server] {
            let host = if side == Side::Client { &mut world.client } else { &mut world.server };
            let Host { connections, events, .. } = host;
            let found = match side {
                // What may go before the handshake is over has to be asked for before.
                Side::Client => connections.iter_mut().next_back().map(|(handle, it)| (*handle, it)),
                Side::Server => established(connections),
            };
            let Some((handle, connection)) = found.filter(|(_, connection)| !connection.is_closed()) else {
                continue;
            };
            let mut others = Vec::new();
            for (of, event) in std::mem::take(events) {
                match event {
                    Event::Stream(event) if of == handle => self.on_event(now, side, event, connection),
                    Event::Datagram if of == handle => self.read_datagrams(side, connection),
                    event => others.push((of, event)),
                }
            }
            *events = others;
            self.begin(now, side, connection);
            self.read_again(now, side, connection);
        }
        world.wake = self.wake(now);
    }

    fn wake(&self, now: Time) -> Option<Time> {
        let begin = self.waiting.front().map(|job| Time::ZERO + job.at);
        let volley = self.volleys.front().map(|volley| Time::ZERO + volley.at);
        let again = self.ends.iter().flat_map(|end| end.read.values().filter_map(|read| read.again)).min();
        // What is due and still waits, waits for an event.
        [begin, volley, again].into_iter().flatten().filter(|at| *at > now).min()
    }

    fn begin(&mut self, now: Time, side: Side, connection: &mut Connection) {
        while let Some(at) = self.waiting.iter().position(|job| job.from == side) {
            if Time::ZERO + self.waiting[at].at > now {
                break;
            }
            let job = &self.waiting[at];
            let direction = if job.answer.is_some() { Direction::Bi } else { Direction::Uni };
            let Some(stream) = connection.open(direction) else { break };
            let job = self.waiting.remove(at).expect("it is there");
            self.start(side, stream, &job, connection);
            self.jobs.insert(stream, job);
        }
        while self.volleys.front().is_some_and(|volley| Time::ZERO + volley.at <= now && volley.from == side)
        {
            if !connection.is_established() {
                break;
            }
            let volley = self.volleys.pop_front().expect("it was looked at");
            self.fire(&volley, connection);
        }
    }

    fn start(&mut self, side: Side, stream: StreamId, job: &Job, connection: &mut Connection) {
        if job.repeatable {
            connection.set_repeatable(stream);
        }
        connection.set_priority(stream, job.priority);
        let reset_after = if let Ending::Reset(after) = job.ending { Some(after) } else { None };
        let out = Out { at: 0, len: job.len, chunk: job.chunk, reset_after, ended: false, over: false };
        let end = &mut self.ends[side as usize];
        end.out.insert(stream, out);
        if let Some(len) = job.answer {
            end.read.insert(stream, In::new(len, job, None));
        }
        self.write(side, stream, connection);
    }

    fn fire(&mut self, volley: &Volley, connection: &mut Connection) {
        let len = volley.len.min(connection.datagram_len_max().unwrap_or(0)).max(8);
        for _ in 0..volley.count {
            let mut data = CONTENT.slice(self.sent as usize % 1000..).slice(..len).to_vec();
            data[..4].copy_from_slice(&self.sent.to_be_bytes());
            self.sent += 1;
            connection.send_datagram(data.into()).expect("it fits");
        }
    }

    fn read_datagrams(&mut self, side: Side, connection: &mut Connection) {
        while let Some(data) = connection.read_datagram() {
            let index = u32::from_be_bytes(*data.first_chunk().expect("it has a number"));
            assert!(index < self.sent, "a datagram that nobody sent");
            assert!(self.ends[side as usize].datagrams.insert(index), "datagram {index} came twice");
            let of = index as usize % 1000;
            assert!(data[4..] == CONTENT[of + 4..of + data.len()], "datagram {index} has changed");
        }
    }

    fn on_event(&mut self, now: Time, side: Side, event: StreamEvent, connection: &mut Connection) {
        self.events += 1;
        match event {
            StreamEvent::Opened(direction) => {
                while let Some(stream) = connection.accept_stream(direction) {
                    let job = self.jobs.get(&stream).expect("somebody opened it");
                    let read = In::new(job.len, job, job.answer);
                    assert!(self.ends[side as usize].read.insert(stream, read).is_none(), "opened twice");
                    self.read_stream(now, side, stream, connection);
                }
            }
            StreamEvent::Readable(stream) => self.read_stream(now, side, stream, connection),
            StreamEvent::Writable(stream) => self.write(side, stream, connection),
            StreamEvent::Finished(stream) => {
                let out = self.ends[side as usize].out.get_mut(&stream).expect("it was written to");
                assert!(out.ended && !out.over, "{stream:?} is finished too early or twice");
                out.over = true;
            }
            StreamEvent::Stopped(stream, code) => {
                assert_eq!(code, CODE);
                assert!(matches!(self.jobs[&stream].ending, Ending::Stop(_)), "nobody stopped {stream:?}");
                self.ends[side as usize].out.get_mut(&stream).expect("it was written to").over = true;
            }
            StreamEvent::Available(_) => {}
        }
    }

    fn write(&mut self, side: Side, stream: StreamId, connection: &mut Connection) {
        let Some(out) = self.ends[side as usize].out.get_mut(&stream) else { return };
        if out.ended || out.over {
            return;
        }
        loop {
            if out.reset_after.is_some_and(|after| out.at >= after) {
                connection.reset(stream, CODE).expect("it is open");
                (out.ended, out.over) = (true, true);
                return;
            }
            if out.at == out.len {
                break;
            }
            let data = content(side, stream, out.at, out.chunk.min(out.len - out.at));
            match connection.write(stream, data) {
                Ok(len) => out.at += len as u64,
                Err(WriteError::Blocked | WriteError::Stopped(_)) => return,
                Err(error) => panic!("{stream:?}: {error}"),
            }
        }
        out.ended = true;
        match connection.finish(stream) {
            Ok(()) | Err(WriteError::Stopped(_)) => {}
            Err(error) => panic!("{stream:?}: {error}"),
        }
    }

    fn read_again(&mut self, now: Time, side: Side, connection: &mut Connection) {
        let due = |(stream, read): (&StreamId, &In)| read.again.filter(|at| *at <= now).map(|_| *stream);
        let due: Vec<StreamId> = self.ends[side as usize].read.iter().filter_map(due).collect();
        for stream in due {
            self.ends[side as usize].read.get_mut(&stream).expect("it is there").again = None;
            self.read_stream(now, side, stream, connection);
        }
    }

    fn read_stream(&mut self, now: Time, side: Side, stream: StreamId, connection: &mut Connection) {
        let Some(read) = self.ends[side as usize].read.get_mut(&stream) else { return };
        while !read.over && read.again.is_none() {
            if matches!(read.ending, Ending::Stop(after) if read.at >= after) {
                // It may have been reset or read to its end by now.
                let _ = connection.stop(stream, CODE);
                read.over = true;
                return;
            }
            match connection.read(stream, read.rests.map_or(usize::MAX, |(len, _)| len)) {
                Ok(Some(data)) => read.take(now, side.peer(), stream, &data),
                Ok(None) => {
                    assert_eq!(read.at, read.len, "{stream:?} ends early");
                    read.over = true;
                    if let Some(len) = read.answer {
                        let out =
                            Out { at: 0, len, chunk: 1 << 16, reset_after: None, ended: false, over: false };
                        self.ends[side as usize].out.insert(stream, out);
                        return self.write(side, stream, connection);
                    }
                }
                Err(ReadError::Blocked) => return,
                Err(ReadError::Reset(CODE)) if matches!(read.ending, Ending::Reset(_)) => read.over = true,
                Err(error) => panic!("{stream:?} after {} bytes: {error}", read.at),
            }
        }
    }
}

impl In {
    fn new(len: u64, job: &Job, answer: Option<u64>) -> Self {
        Self { at: 0, len, rests: job.rests, again: None, ending: job.ending, answer, over: false }
    }

    fn take(&mut self, now: Time, writer: Side, stream: StreamId, data: &[u8]) {
        assert!(!data.is_empty() && self.at + data.len() as u64 <= self.len, "{stream:?} is too long");
        for piece in data.chunks(1 << 16) {
            let wanted = content(writer, stream, self.at, piece.len() as u64);
            assert!(*piece == wanted[..], "{stream:?} is wrong at {}", self.at);
            self.at += piece.len() as u64;
        }
        self.again = self.rests.map(|(_, rest)| now + rest);
    }
}
