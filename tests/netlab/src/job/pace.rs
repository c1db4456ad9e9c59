//! A schedule kept by a thread of its own, since the runtime's timers are a millisecond coarse.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// Ticks that may wait for a runtime that is busy.
const TICKS_MAX: usize = 65_536;

/// Sends the scheduled time of `count` ticks, each when it has come.
pub(super) fn ticks(start: Instant, every: Duration, count: u32) -> mpsc::Receiver<Instant> {
    let (send, ticks) = mpsc::channel(TICKS_MAX);
    thread::spawn(move || {
        exact_timers();
        for number in 0..count {
            let at = start + every * number;
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if send.blocking_send(at).is_err() {
                return;
            }
        }
    });
    ticks
}

fn exact_timers() {
    // SAFETY: takes no pointers, and concerns this thread alone.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}
