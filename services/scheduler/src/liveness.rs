//! Who has been heard of, and whose lease has run out. Pure: it is told what was heard and when.
//!
//! Silence says something about a worker only while the way from workers to here is open. So the scheduler publishes a
//! sample of itself on the same stream and listens for it: as long as its own echo comes back in time, others that are
//! silent are silent; once the echo stops (the bus is down, the stream vanished, this process was suspended),
//! nobody is given up, and everybody has a whole lease anew when it returns.

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{Time, id::InstanceId};

/// Silence of a worker's process that ends its leases, in milliseconds.
pub const LEASE_MS: u64 = 2000;
/// Time between two samples of a process, in milliseconds.
pub const HEARTBEAT_MS: u64 = 500;
/// Silence of our own echo after which the way is taken for broken, in milliseconds. With one heartbeat it is less than
/// a lease, so that a broken way is always noticed before somebody's lease runs out.
pub const ECHO_GAP_MS: u64 = 1000;

/// What was heard, by process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Liveness {
    heard: BTreeMap<InstanceId, Heard>,
    by_time: BTreeSet<(Time, InstanceId)>,
    echo: Option<Echo>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Heard {
    at: Time,
    /// Whether it was truly heard, rather than granted a lease because the log names it.
    truly: bool,
}

/// Our own samples coming back: since when without a gap, and the last one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Echo {
    since: Time,
    last: Time,
}

impl Liveness {
    /// A sample of `process` arrived.
    pub fn heard(&mut self, process: &InstanceId, at: Time) {
        self.set(process, Heard { at, truly: true });
    }

    /// The log names `process`: from `at` on its silence counts.
    pub fn expect(&mut self, process: &InstanceId, at: Time) {
        if !self.heard.contains_key(process) {
            self.set(process, Heard { at, truly: false });
        }
    }

    /// `process` has gone.
    pub fn forget(&mut self, process: &InstanceId) {
        if let Some(old) = self.heard.remove(process) {
            self.by_time.remove(&(old.at, process.clone()));
        }
    }

    /// A sample of our own came back.
    pub fn echoed(&mut self, at: Time) {
        self.echo = Some(match self.echo {
            Some(echo) if at.ms_since(echo.last) <= ECHO_GAP_MS => Echo { last: at.max(echo.last), ..echo },
            _ => Echo { since: at, last: at },
        });
    }

    /// Whether our own samples come back.
    #[must_use]
    pub fn hears(&self, now: Time) -> bool {
        self.echo.is_some_and(|echo| now.ms_since(echo.last) <= ECHO_GAP_MS)
    }

    /// Whether the way from the workers to here is known to have been open for a whole lease.
    #[must_use]
    pub fn is_open(&self, now: Time) -> bool {
        self.hears(now) && self.echo.is_some_and(|echo| echo.last.ms_since(echo.since) > LEASE_MS)
    }

    /// Whether jobs may be given to `process`: it was heard within a lease.
    #[must_use]
    pub fn is_alive(&self, process: &InstanceId, now: Time) -> bool {
        self.heard.get(process).is_some_and(|heard| heard.truly && now.ms_since(heard.at) <= LEASE_MS)
    }

    /// Milliseconds for which `process` has not been heard.
    #[must_use]
    pub fn silence_ms(&self, process: &InstanceId, now: Time) -> u64 {
        self.heard.get(process).map_or(0, |heard| now.ms_since(heard.at))
    }

    /// Processes whose lease has run out, the most silent first. None while the way from them to here is not known to
    /// have been open for a whole lease.
    pub fn silent(&self, now: Time) -> impl Iterator<Item = &InstanceId> {
        let open = self.is_open(now);
        self.by_time
            .iter()
            .take_while(move |(at, _)| open && now.ms_since(*at) > LEASE_MS)
            .map(|(_, process)| process)
    }

    /// When the next lease runs out, if nobody is heard until then.
    #[must_use]
    pub fn next_silence(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| at.plus_ms(LEASE_MS))
    }

    fn set(&mut self, process: &InstanceId, new: Heard) {
        match self.heard.get_mut(process) {
            Some(old) if old.at > new.at => old.truly |= new.truly,
            Some(old) => {
                self.by_time.remove(&(old.at, process.clone()));
                *old = new;
                self.by_time.insert((new.at, process.clone()));
            }
            None => {
                self.heard.insert(process.clone(), new);
                self.by_time.insert((new.at, process.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str) -> InstanceId {
        InstanceId::new(name).unwrap()
    }

    fn at(ms: u64) -> Time {
        Time(0).plus_ms(ms)
    }

    /// Echoes each heartbeat from `from` to `to`.
    fn echo(liveness: &mut Liveness, from: u64, to: u64) {
        (from..=to).step_by(500).for_each(|ms| liveness.echoed(at(ms)));
    }

    fn silent(liveness: &Liveness, ms: u64) -> Vec<String> {
        liveness.silent(at(ms)).map(ToString::to_string).collect()
    }

    #[test]
    fn who_falls_silent_loses_its_lease() {
        let mut liveness = Liveness::default();
        echo(&mut liveness, 0, 5000);
        liveness.heard(&process("a"), at(1000));
        liveness.heard(&process("b"), at(3500));
        assert_eq!(silent(&liveness, 3000), Vec::<String>::new());
        assert_eq!(silent(&liveness, 3001), ["a"]);
        assert_eq!(silent(&liveness, 5501), ["a", "b"]);
        assert!(liveness.is_alive(&process("b"), at(5500)) && !liveness.is_alive(&process("b"), at(5501)));
    }

    #[test]
    fn nobody_is_given_up_while_our_own_echo_is_missing() {
        let mut liveness = Liveness::default();
        liveness.heard(&process("a"), at(0));
        assert_eq!(silent(&liveness, 60_000), Vec::<String>::new());
        echo(&mut liveness, 0, 2500);
        assert_eq!(silent(&liveness, 3501), Vec::<String>::new(), "the echo has stopped too");
    }

    #[test]
    fn after_a_gap_everybody_has_a_whole_lease_anew() {
        let mut liveness = Liveness::default();
        echo(&mut liveness, 0, 5000);
        liveness.heard(&process("a"), at(5000));
        echo(&mut liveness, 20_000, 22_000);
        assert_eq!(silent(&liveness, 22_000), Vec::<String>::new());
        echo(&mut liveness, 22_500, 22_500);
        assert_eq!(silent(&liveness, 22_500), ["a"]);
    }

    #[test]
    fn who_is_only_expected_gets_no_jobs_but_loses_its_lease() {
        let mut liveness = Liveness::default();
        liveness.expect(&process("a"), at(0));
        assert!(!liveness.is_alive(&process("a"), at(1)));
        echo(&mut liveness, 0, 2500);
        assert_eq!(silent(&liveness, 2500), ["a"]);
        liveness.heard(&process("a"), at(2400));
        liveness.expect(&process("a"), at(9000));
        assert!(liveness.is_alive(&process("a"), at(2500)));
        liveness.forget(&process("a"));
        assert_eq!(silent(&liveness, 9000), Vec::<String>::new());
        assert_eq!(liveness, Liveness { echo: liveness.echo, ..Liveness::default() });
    }

    #[test]
    fn a_late_sample_does_not_turn_time_back() {
        let mut liveness = Liveness::default();
        liveness.heard(&process("a"), at(1000));
        liveness.heard(&process("a"), at(500));
        assert_eq!(liveness.silence_ms(&process("a"), at(1500)), 500);
    }
}
