//! The command line's language for paths: `name`, `key=value:key=value`, or `name:key=value`, lines joined by `+`.

use std::time::Duration;

use super::{Blackouts, Bursts, Line, NAMED, Path, Rate, Way, named};

/// The path without an emulator.
const LOOPBACK: &str = "loopback";

/// Why a text describes no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    part: String,
    why: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` in a path: {}", self.part, self.why)
    }
}

impl std::error::Error for Error {}

fn wrong(part: &str, why: impl Into<String>) -> Error {
    Error { part: part.to_owned(), why: why.into() }
}

/// Paths, separated by commas.
///
/// # Errors
/// The part that means nothing, and what would.
pub fn parse_paths(text: &str) -> Result<Vec<Path>, Error> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse_path).collect()
}

/// One path.
///
/// # Errors
/// The part that means nothing, and what would.
pub fn parse_path(text: &str) -> Result<Path, Error> {
    if text == LOOPBACK {
        return Ok(Path { name: text.to_owned(), lines: Vec::new() });
    }
    let full: Vec<String> = text.split('+').map(unfold).collect();
    let lines = full.join("+").split('+').map(parse_line).collect::<Result<_, _>>()?;
    Ok(Path { name: text.to_owned(), lines })
}

/// Puts a name's description in the name's place.
fn unfold(line: &str) -> String {
    let (head, rest) = line.split_once(':').map_or((line, None), |(head, rest)| (head, Some(rest)));
    let head = named(head).unwrap_or(head);
    // What refines a path of several lines refines each of them.
    let refine = |line: &str| rest.map_or(line.to_owned(), |rest| format!("{line}:{rest}"));
    head.split('+').map(refine).collect::<Vec<_>>().join("+")
}

fn parse_line(text: &str) -> Result<Line, Error> {
    let mut line = Line::default();
    for part in text.split(':') {
        let Some((key, value)) = part.split_once('=') else {
            let names: Vec<_> = NAMED.iter().map(|(name, ..)| *name).collect();
            let why =
                format!("neither a name ({}, {LOOPBACK}) nor key=value such as rtt=180ms", names.join(", "));
            return Err(wrong(part, why));
        };
        match key.split_once('.') {
            Some(("up", key)) => set(&mut line.up, part, key, value, 1)?,
            Some(("down", key)) => set(&mut line.down, part, key, value, 1)?,
            Some(_) => return Err(wrong(part, "a direction is `up.` (to the server) or `down.`")),
            None => {
                set(&mut line.up, part, key, value, 2)?;
                set(&mut line.down, part, key, value, 2)?;
            }
        }
    }
    Ok(line)
}

/// Sets what `key` names; times of the round trip are shared by the ways that it is set for.
fn set(way: &mut Way, part: &str, key: &str, value: &str, ways: u32) -> Result<(), Error> {
    if let Some(from) = key.strip_prefix("rate@") {
        way.rates.push(Rate { from: time(part, from)?, bits_per_s: rate(part, value)? });
        if !way.rates.is_sorted_by(|a, b| a.from < b.from) {
            return Err(wrong(part, "steps come in the order of their times, after a first `rate`"));
        }
        return Ok(());
    }
    match key {
        "rtt" | "delay" => way.delay = time(part, value)? / ways,
        "jitter" => way.jitter = time(part, value)? / ways,
        "order" => way.in_order = choice(part, value, "kept", "free")?,
        "rate" => way.rates = vec![Rate { from: Duration::ZERO, bits_per_s: rate(part, value)? }],
        "queue" => way.queue_bytes = Some(value.parse().map_err(|_| wrong(part, "bytes, a whole number"))?),
        "ecn" => way.ecn = Some(time(part, value)?),
        "loss" => way.loss = share(part, value)?,
        "bursts" => way.bursts = Some(bursts(part, value)?),
        "blackout" => way.blackouts = Some(blackouts(part, value)?),
        "duplicate" => way.duplicates = share(part, value)?,
        "corrupt" => way.corrupts = share(part, value)?,
        _ => {
            let keys =
                "rtt, jitter, order, rate, rate@TIME, queue, ecn, loss, bursts, blackout, duplicate, corrupt";
            return Err(wrong(part, format!("the keys are {keys}, each also with `up.` or `down.`")));
        }
    }
    Ok(())
}

fn choice(part: &str, value: &str, yes: &str, no: &str) -> Result<bool, Error> {
    match value {
        value if value == yes => Ok(true),
        value if value == no => Ok(false),
        _ => Err(wrong(part, format!("`{yes}` or `{no}`"))),
    }
}

/// A time: `180ms`, `3s`, `250us`; a bare number is milliseconds.
fn time(part: &str, value: &str) -> Result<Duration, Error> {
    let split = value.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(value.len());
    let scale = match &value[split..] {
        "us" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err(wrong(part, "a time is in us, ms or s")),
    };
    let number: f64 = value[..split].parse().map_err(|_| wrong(part, "a time such as 180ms"))?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| wrong(part, "a time is not negative"))
}

/// A rate: `100` and `100mbit` are megabits a second, `1gbit`, `500kbit`.
fn rate(part: &str, value: &str) -> Result<u64, Error> {
    let (number, scale) = [("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3)]
        .iter()
        .find_map(|(unit, scale)| value.strip_suffix(unit).map(|number| (number, *scale)))
        .unwrap_or((value, 1e6));
    let number: f64 = number.parse().map_err(|_| wrong(part, "a rate such as 100 (Mbit/s) or 1gbit"))?;
    let bits = number * scale;
    if !(1e3..=1e11).contains(&bits) {
        return Err(wrong(part, "a rate is from 1kbit to 100gbit"));
    }
    Ok(bits as u64)
}

/// A share of packets: `1%`.
fn share(part: &str, value: &str) -> Result<f64, Error> {
    let number = value.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(wrong(part, "a share such as 0.5%, of at most 100%")),
    }
}

fn bursts(part: &str, value: &str) -> Result<Bursts, Error> {
    let (loss, packets) = value.split_once('x').ok_or_else(|| wrong(part, "loss and length, as in 2%x10"))?;
    let loss = share(part, loss)?;
    let packets: f64 = packets.parse().map_err(|_| wrong(part, "a length in packets, as in 2%x10"))?;
    if !(1.0..=1e6).contains(&packets) || loss > 0.9 {
        return Err(wrong(part, "a mean length of at least one packet, and at most 90% lost"));
    }
    Ok(Bursts { loss, packets })
}

fn blackouts(part: &str, value: &str) -> Result<Blackouts, Error> {
    let (lasting, every) = value.split_once('/').ok_or_else(|| wrong(part, "as in 60ms/3s"))?;
    let (lasting, every) = (time(part, lasting)?, time(part, every)?);
    if lasting >= every {
        return Err(wrong(part, "a blackout is shorter than its period"));
    }
    Ok(Blackouts { lasting, every })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_path_parses() {
        for (name, ..) in NAMED {
            let path = parse_path(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!path.lines.is_empty() && path.rtt() > Duration::ZERO, "{name}");
        }
    }

    #[test]
    fn a_round_trip_is_halved_and_a_way_is_not() {
        let path = parse_path("rtt=180ms:jitter=20ms:up.loss=10%:down.delay=50ms").expect("a path");
        let line = &path.lines[0];
        assert_eq!(line.up.delay, Duration::from_millis(90));
        assert_eq!(line.down.delay, Duration::from_millis(50));
        assert_eq!(line.down.jitter, Duration::from_millis(10));
        assert_eq!((line.up.loss, line.down.loss), (0.1, 0.0));
    }

    #[test]
    fn a_name_can_be_refined() {
        let path = parse_path("two:loss=0%:rate=1gbit").expect("a path");
        assert_eq!(path.lines.len(), 2);
        assert!(path.lines.iter().all(|line| line.down.loss == 0.0));
        assert_eq!(path.capacity(), Some(2_000_000_000));
    }

    #[test]
    fn what_means_nothing_is_named() {
        for text in [
            "atlantis",
            "loss=5",
            "loss=200%",
            "rate=0",
            "rtt=-1ms",
            "left.loss=1%",
            "bursts=2%",
            "blackout=3s/1s",
            "rate@2s=50:rate@1s=20",
            "speed=9",
            "rtt=5m",
        ] {
            let error = parse_path(text).expect_err(text).to_string();
            assert!(error.contains('`'), "{error}");
        }
    }
}
