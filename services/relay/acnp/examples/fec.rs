//! What repairs save and cost: planner and coder over simulated loss, as a table.
//!
//! Messages of some packets go out at a steady pace over a path of 180 ms; outcomes come back a round trip later. A message fails if one of
//! its packets is not there, by itself or by repairs, a quarter of the round trip after it would have been. `fec [MESSAGES] [SEED]`.

use bytes::Bytes;
use lowland_acnp::proto::{
    Time,
    fec::{
        Decoder, Encoder, PAYLOAD_BYTES_MAX, gf256,
        planner::{Class, Config, Fate, Planner},
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const RTT: Duration = Duration::from_millis(180);
const STEP: Duration = Duration::from_micros(500);
/// Between packets that are sent together: 1200 bytes at 100 Mbit/s.
const PACKET_TIME: Duration = Duration::from_micros(96);
const PAYLOAD_BYTES: usize = 1100;
/// Messages in which the planner learns and nothing is counted; their bytes are.
const WARM_UP: usize = 500;

/// Random numbers by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, p: f64) -> bool {
        ((self.next() >> 11) as f64) < p * (1_u64 << 53) as f64
    }
}

#[derive(Clone, Copy)]
enum Channel {
    /// Each packet alike.
    Independent(f64),
    /// Bursts of so many packets in the mean.
    Packets(f64, f64),
    /// Bursts of so many milliseconds in the mean.
    Millis(f64, f64),
}

/// A channel and its state.
struct Path {
    channel: Channel,
    bad: bool,
    at: Time,
}

impl Path {
    fn loses(&mut self, now: Time, random: &mut Random) -> bool {
        let (rate, kept) = match self.channel {
            Channel::Independent(rate) => (rate, 0.0),
            // The state's correlation over a packet, and over the time since the last packet.
            Channel::Packets(rate, mean) => (rate, 1.0 - 1.0 / mean / (1.0 - rate)),
            Channel::Millis(rate, mean) => {
                (rate, (-now.since(self.at).as_secs_f64() * 1e3 / mean / (1.0 - rate)).exp())
            }
        };
        self.at = now;
        self.bad = random.chance(if self.bad { rate + (1.0 - rate) * kept } else { rate * (1.0 - kept) });
        self.bad
    }
}

#[derive(Clone, Copy)]
struct Sent {
    at: Time,
    lost: bool,
    /// Of a source: its message, and when it was there on the sender's clock.
    message: Option<usize>,
    there: Option<Time>,
}

struct Simulation {
    planner: Planner,
    encoder: Encoder,
    decoder: Decoder,
    path: Path,
    random: Random,
    sent: Vec<Sent>,
    feedback: VecDeque<u64>,
}

#[derive(Default)]
struct Outcome {
    bare: f64,
    failed: f64,
    overhead: f64,
    used: f64,
    delay_ms: f64,
}

impl Simulation {
    fn new(channel: Channel, seed: u64) -> Self {
        Self {
            planner: Planner::new(Config::default()),
            encoder: Encoder::new(128, 128 * PAYLOAD_BYTES),
            decoder: Decoder::new(512, 1 << 20, Duration::from_secs(1)),
            path: Path { channel, bad: false, at: Time::ZERO },
            random: Random(seed),
            sent: Vec::new(),
            feedback: VecDeque::new(),
        }
    }

    fn record(&mut self, now: Time, message: Option<usize>) -> (u64, bool) {
        let (pn, lost) = (self.sent.len() as u64, self.path.loses(now, &mut self.random));
        self.sent.push(Sent { at: now, lost, message, there: (!lost).then_some(now) });
        self.feedback.push_back(pn);
        (pn, lost)
    }

    fn source(&mut self, now: Time, message: usize) {
        let (pn, lost) = self.record(now, Some(message));
        let mut payload = vec![0; 1 + (self.random.next() as usize) % 8];
        payload.resize(PAYLOAD_BYTES, pn as u8);
        let payload = Bytes::from(payload);
        self.planner.on_sent(now, pn, payload.len(), Class::First);
        self.encoder.push(pn, payload.clone());
        if !lost {
            let recovered = self.decoder.source(now, pn, payload);
            self.note(now, recovered.into_iter().map(|recovered| recovered.pn));
        }
    }

    fn repairs(&mut self, now: Time) {
        while let Some(order) = self.planner.poll(now, true) {
            let Some((header, symbol)) = self.encoder.repair(order.seed, order.pns, order.keep) else {
                continue;
            };
            assert!(symbol.len() <= PAYLOAD_BYTES_MAX);
            let (pn, lost) = self.record(now, None);
            self.planner.on_sent(now, pn, header.encoded_len() + symbol.len(), Class::Repair);
            if !lost {
                let recovered = self.decoder.repair(now, &header, &symbol);
                self.note(now, recovered.into_iter().map(|recovered| recovered.pn));
            }
        }
    }

    fn note(&mut self, now: Time, recovered: impl Iterator<Item = u64>) {
        recovered.for_each(|pn| self.sent[pn as usize].there = Some(now));
    }

    fn hear(&mut self, now: Time) {
        while let Some(pn) = self.feedback.front().copied() {
            let sent = self.sent[pn as usize];
            if sent.at + RTT > now {
                break;
            }
            self.feedback.pop_front();
            let fate = match (sent.lost, sent.there) {
                (false, _) => Fate::Arrived,
                (true, Some(_)) => Fate::Recovered,
                (true, None) => Fate::Lost,
            };
            self.planner.on_outcomes([(pn, sent.at, fate)]);
            self.encoder.acknowledged(pn);
        }
    }

    fn run(mut self, packets: usize, every: Duration, messages: usize) -> Outcome {
        self.planner.on_rtt(RTT);
        let (mut now, mut message, mut next) = (Time::ZERO, 0, Time::ZERO);
        while message < messages + WARM_UP || now < next {
            self.hear(now);
            if now >= next {
                (0..packets).for_each(|i| self.source(now + PACKET_TIME * i as u32, message));
                (message, next) = (message + 1, next + every);
                now += PACKET_TIME * packets as u32;
            }
            self.repairs(now);
            now += STEP;
        }
        self.outcome(messages)
    }

    fn outcome(&self, messages: usize) -> Outcome {
        let late = |sent: &Sent| sent.there.is_none_or(|there| there.since(sent.at) > RTT / 4);
        let failing = |fails: &dyn Fn(&Sent) -> bool| {
            let mut failed: Vec<usize> =
                self.sent.iter().filter(|sent| fails(sent)).filter_map(|sent| sent.message).collect();
            failed.dedup();
            failed.iter().filter(|message| **message >= WARM_UP).count() as f64 / messages as f64
        };
        let delays: Vec<f64> = self
            .sent
            .iter()
            .filter(|sent| sent.lost)
            .filter_map(|sent| Some(sent.there?.since(sent.at).as_secs_f64() * 1e3))
            .collect();
        let counters = self.planner.counters();
        Outcome {
            bare: failing(&|sent| sent.lost),
            failed: failing(&late),
            overhead: counters.sent_bytes as f64 / counters.content_bytes as f64,
            used: counters.used as f64 / counters.sent.max(1) as f64,
            delay_ms: delays.iter().fold(0.0, |sum, delay| sum + delay) / delays.len().max(1) as f64,
        }
    }
}

fn throughput() {
    let (mut dst, src) = (vec![1_u8; 1200], vec![7_u8; 1200]);
    for (name, kernel) in
        [("best", gf256::mul_add as fn(&mut [u8], &[u8], u8)), ("scalar", gf256::mul_add_scalar)]
    {
        let (start, mut rounds) = (Instant::now(), 0_u64);
        while start.elapsed() < Duration::from_millis(500) {
            (0..1000).for_each(|i| kernel(&mut dst, &src, 2 + (i % 250) as u8));
            rounds += 1000;
        }
        println!(
            "mul_add {name}: {:.2} GB/s over 1200 bytes",
            (rounds * 1200) as f64 / start.elapsed().as_secs_f64() / 1e9
        );
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (messages, seed) = (arguments.next().unwrap_or(5000) as usize, arguments.next().unwrap_or(1));
    throughput();
    let pace = Duration::from_millis(20);
    let flows = [
        ("1 at 50/s", 1, pace),
        ("4 at 50/s", 4, pace),
        ("5 at 50/s", 5, pace),
        ("47 at 50/s", 47, pace),
        ("1 alone", 1, Duration::from_secs(1)),
        ("5 alone", 5, Duration::from_secs(1)),
        ("47 alone", 47, Duration::from_secs(1)),
    ];
    let channels = [
        ("1 %", Channel::Independent(0.01)),
        ("2 %", Channel::Independent(0.02)),
        ("5 %", Channel::Independent(0.05)),
        ("10 %", Channel::Independent(0.1)),
        ("2 %, 10 packets", Channel::Packets(0.02, 10.0)),
        ("2 %, 10 ms", Channel::Millis(0.02, 10.0)),
    ];
    println!(
        "| packets | loss | fail bare | fail | overhead | repairs used | recovered after |\n|---|---|---|---|---|---|---|"
    );
    for (flow, packets, every) in flows {
        for (name, channel) in channels {
            let got = Simulation::new(channel, seed).run(packets, every, messages);
            println!(
                "| {flow} | {name} | {:.4} | {:.4} | {:.2} | {:.0} % | {:.0} ms |",
                got.bare,
                got.failed,
                got.overhead,
                100.0 * got.used,
                got.delay_ms
            );
        }
    }
}
