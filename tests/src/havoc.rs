//! Processes killed or frozen at moments drawn from a seed, while a system works.

use std::{
    fmt,
    thread::sleep,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::site::Site;

/// The processes of a system with so many workers, as its supervisor calls them.
#[must_use]
pub fn processes(workers: u8) -> Vec<String> {
    let services = ["billing", "gateway", "nats", "scheduler"].map(str::to_owned);
    services.into_iter().chain((1..=workers).map(|number| format!("worker-w{number}"))).collect()
}

/// Pause before a blow, in milliseconds: sometimes at once, sometimes when all has come back.
const PAUSES_MS: std::ops::RangeInclusive<u64> = 100..=2500;
/// Longest wait for a victim that has not come back from the blow before; then it is left alone.
const VICTIM_WITHIN: Duration = Duration::from_secs(15);
/// How often a victim that is not there is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What is done to the victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// SIGKILL: no last word, no flush.
    Kill,
    /// SIGSTOP, and SIGCONT after so many milliseconds: a process that lost time and does not know it.
    Freeze(u64),
}

/// One blow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blow {
    /// Pause after the blow before, in milliseconds.
    pub after_ms: u64,
    /// Processes that it strikes in the same moment.
    pub victims: Vec<String>,
    /// What is done to them.
    pub how: How,
}

/// Blows in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule(pub Vec<Blow>);

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Blow { after_ms, victims, how } in &self.0 {
            writeln!(f, "  after {after_ms} ms {how:?} {}", victims.join(" and "))?;
        }
        Ok(())
    }
}

impl Schedule {
    /// Each of `names` is struck alone, `rounds` times, in an order of the seed.
    #[must_use]
    pub fn each_alone(seed: u64, names: &[String], rounds: usize, how: How) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let order = (0..rounds).flat_map(|_| shuffled(&mut chance, names)).collect::<Vec<_>>();
        Self(order.into_iter().map(|name| Blow::of(&mut chance, vec![name], how)).collect())
    }

    /// So many blows, each on two different ones of `names`.
    #[must_use]
    pub fn pairs(seed: u64, names: &[String], blows: usize, how: How) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let pair = |chance: &mut ChaCha8Rng| shuffled(chance, names).into_iter().take(2).collect();
        let pairs = (0..blows).map(|_| pair(&mut chance)).collect::<Vec<_>>();
        Self(pairs.into_iter().map(|pair| Blow::of(&mut chance, pair, how)).collect())
    }

    /// Blows of every kind: one, two or three victims, most killed, some frozen for up to twice `lease_ms`.
    #[must_use]
    pub fn wild(seed: u64, names: &[String], blows: usize, lease_ms: u64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let blow = |chance: &mut ChaCha8Rng| {
            let count = *[1, 1, 1, 2, 2, 3].choose(chance).expect("there are some");
            let victims = shuffled(chance, names).into_iter().take(count).collect();
            let frozen = How::Freeze(chance.random_range(lease_ms / 4..=lease_ms * 2));
            let how = if chance.random_ratio(1, 4) { frozen } else { How::Kill };
            Blow::of(chance, victims, how)
        };
        Self((0..blows).map(|_| blow(&mut chance)).collect())
    }

    /// Strikes the processes of `system`; gives what was struck, by name.
    pub fn strike(&self, system: &Site) -> Vec<String> {
        self.0.iter().flat_map(|blow| blow.strike(system)).collect()
    }
}

fn shuffled(chance: &mut ChaCha8Rng, names: &[String]) -> Vec<String> {
    names.sample(chance, names.len()).cloned().collect()
}

impl Blow {
    fn of(chance: &mut ChaCha8Rng, victims: Vec<String>, how: How) -> Self {
        Self { after_ms: chance.random_range(PAUSES_MS), victims, how }
    }

    fn strike(&self, system: &Site) -> Vec<String> {
        sleep(Duration::from_millis(self.after_ms));
        let found: Vec<_> = self.victims.iter().filter_map(|name| Some((name, pid(system, name)?))).collect();
        let (first, then) = match self.how {
            How::Kill => (libc::SIGKILL, None),
            How::Freeze(ms) => (libc::SIGSTOP, Some((ms, libc::SIGCONT))),
        };
        let struck: Vec<_> = found.into_iter().filter(|(_, pid)| signal(*pid, first)).collect();
        if let Some((ms, second)) = then {
            sleep(Duration::from_millis(ms));
            for (_, pid) in &struck {
                signal(*pid, second);
            }
        }
        struck.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

/// The process called `name`, once it is there.
fn pid(system: &Site, name: &str) -> Option<libc::pid_t> {
    let deadline = Instant::now() + VICTIM_WITHIN;
    loop {
        let found = system.pids().get(name).copied().filter(|pid| signal(*pid, 0));
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        sleep(LOOK);
    }
}

/// Sends a signal to one of the supervisor's children; whether it was there.
pub fn signal(pid: libc::pid_t, signal: libc::c_int) -> bool {
    // SAFETY: sends a signal and touches no memory; the id is one that the supervisor gave for a child of its own.
    unsafe { libc::kill(pid, signal) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_strikes_the_same_again() {
        let names = processes(3);
        assert_eq!(Schedule::wild(3, &names, 50, 2000), Schedule::wild(3, &names, 50, 2000));
        assert_ne!(Schedule::wild(3, &names, 50, 2000), Schedule::wild(4, &names, 50, 2000));
    }

    #[test]
    fn each_is_struck_as_often_as_was_said() {
        let names = processes(2);
        let Schedule(blows) = Schedule::each_alone(1, &names, 3, How::Kill);
        for name in &names {
            assert_eq!(blows.iter().filter(|blow| blow.victims == [name.clone()]).count(), 3, "{name}");
        }
    }

    #[test]
    fn pairs_are_two_different_ones() {
        let Schedule(blows) = Schedule::pairs(1, &processes(2), 40, How::Kill);
        assert!(blows.iter().all(|blow| blow.victims.len() == 2 && blow.victims[0] != blow.victims[1]));
    }
}
