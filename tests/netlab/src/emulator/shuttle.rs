//! The loop between the devices: reads what was sent, asks the models, writes what is due.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Lateness, Report, device::Device, lateness::Recorder};
use crate::{
    model::{At, Delivery, Model, Which},
    path::Path,
};

/// Packets read from one device before what is due is written.
const BATCH_PACKETS: usize = 32;

/// The longest sleep: how soon a wish to stop is seen.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// Bytes of the largest packet that a device hands over.
const PACKET_BYTES_MAX: usize = 65_536;

/// A direction between two devices.
struct Lane {
    from: usize,
    to: usize,
    model: Model,
}

/// What is on its way: ordered by time, then by when it entered.
type Due = Reverse<(At, u64, usize, Vec<u8>)>;

/// The emulator's loop.
pub(super) struct Shuttle {
    devices: Vec<Device>,
    lanes: Vec<Lane>,
    due: BinaryHeap<Due>,
    entered: u64,
    late: Recorder,
    stop: Arc<AtomicBool>,
}

impl Shuttle {
    pub(super) fn new(path: &Path, pairs: Vec<[Device; 2]>, seed: u64, stop: Arc<AtomicBool>) -> Self {
        let mut lanes = Vec::new();
        for (number, line) in path.lines.iter().enumerate() {
            let rtt = line.up.delay + line.down.delay;
            let (client, server) = (2 * number, 2 * number + 1);
            let which = |down| Which { line: number as u64, down };
            lanes.push(Lane {
                from: client,
                to: server,
                model: Model::new(&line.up, rtt, seed, which(false)),
            });
            lanes.push(Lane {
                from: server,
                to: client,
                model: Model::new(&line.down, rtt, seed, which(true)),
            });
        }
        let devices = pairs.into_iter().flatten().collect();
        Self { devices, lanes, due: BinaryHeap::new(), entered: 0, late: Recorder::new(), stop }
    }

    pub(super) fn run(mut self) -> io::Result<Report> {
        be_punctual();
        let start = Instant::now();
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        let mut fates = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let more = self.read(start, &mut buffer, &mut fates)?;
            self.write(start);
            if !more {
                self.sleep(start)?;
            }
        }
        Ok(self.report())
    }

    /// Takes what waits on the devices; says whether there may be more.
    fn read(&mut self, start: Instant, buffer: &mut [u8], fates: &mut Vec<Delivery>) -> io::Result<bool> {
        let mut more = false;
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            for taken in 0..BATCH_PACKETS {
                let Some(packet) = self.devices[lane.from].take(buffer)? else { break };
                lane.model.enter(start.elapsed(), packet, fates);
                for Delivery { at, packet } in fates.drain(..) {
                    self.entered += 1;
                    self.due.push(Reverse((at, self.entered, number, packet)));
                }
                more |= taken + 1 == BATCH_PACKETS;
            }
        }
        Ok(more)
    }

    /// Hands over what is due, at most a batch for each device, so that reading is not put off.
    fn write(&mut self, start: Instant) {
        for _ in 0..BATCH_PACKETS * self.devices.len() {
            let now = start.elapsed();
            if self.due.peek().is_none_or(|Reverse((at, ..))| *at > now) {
                return;
            }
            let Some(Reverse((at, _, number, packet))) = self.due.pop() else { return };
            self.devices[self.lanes[number].to].give(&packet);
            self.late.late(now - at);
        }
    }

    /// Waits for a packet, or until the next is due.
    fn sleep(&self, start: Instant) -> io::Result<()> {
        let next = self.due.peek().map_or(SLEEP_MAX, |Reverse((at, ..))| at.saturating_sub(start.elapsed()));
        let wait = next.min(SLEEP_MAX);
        if wait.is_zero() {
            return Ok(());
        }
        let poll = |device: &Device| libc::pollfd { fd: device.fd(), events: libc::POLLIN, revents: 0 };
        let mut polls: Vec<_> = self.devices.iter().map(poll).collect();
        let time = libc::timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        // SAFETY: the array and the time live through the call, the length is the array's.
        let ready = unsafe {
            libc::ppoll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, &raw const time, std::ptr::null())
        };
        match io::Error::last_os_error() {
            error if ready < 0 && error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn report(&self) -> Report {
        let tally = |lane: &Lane| *lane.model.tally();
        let lines: Vec<_> = self.lanes.chunks(2).map(|two| (tally(&two[0]), tally(&two[1]))).collect();
        let lateness: Lateness = self.late.lateness();
        let up = lines.iter().fold(Default::default(), |sum: crate::model::Tally, (up, _)| sum.plus(up));
        let down =
            lines.iter().fold(Default::default(), |sum: crate::model::Tally, (_, down)| sum.plus(down));
        Report { up, down, lines: if lines.len() > 1 { lines } else { Vec::new() }, lateness, missed: 0 }
    }
}

/// Asks for exact timers and to run before everybody else. Without the right to, the report shows the lateness.
fn be_punctual() {
    let priority = libc::sched_param { sched_priority: 10 };
    // SAFETY: concerns this thread alone; the parameter lives through the call.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const priority);
    }
}
