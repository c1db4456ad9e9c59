//! Measures what each wire costs over loopback: one JSON line a run, with Gbit/s and CPU seconds a GB (10^9 bytes of content, both
//! ends and the kernel together).
//!
//!     cargo run --release -p lowland-acnp --example wires -- [SECONDS]
//!
//! A sender and a receiver run on a thread each. The sender stays at most a window ahead of the receiver, so that nothing overflows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use lowland_acnp::wire::{Choice, Inbox, Outbox, Transmit, Wire};

/// Bytes of a datagram: what an Ethernet takes, what one with jumbo frames takes, and what only loopback takes.
const DATAGRAM_BYTES: [usize; 3] = [1452, 8952, 65_000];

/// Bytes that a transmit holds at most.
const TRANSMIT_BYTES_MAX: usize = 65_000;

/// Bytes that the sender may be ahead of the receiver.
const WINDOW_BYTES: u64 = 1 << 20;

/// How long nothing may arrive before a run counts as stuck, for something was lost.
const STUCK: Duration = Duration::from_secs(2);

/// What both threads of a run see.
#[derive(Default)]
struct Run {
    received: AtomicU64,
    over: AtomicBool,
}

fn main() -> std::io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|argument| argument.parse().ok()).unwrap_or(3);
    let length = Duration::from_secs(seconds);
    for local in ["127.0.0.1:0", "[::1]:0"] {
        for bytes in DATAGRAM_BYTES {
            let mut batches = vec![TRANSMIT_BYTES_MAX / bytes, 10, 1];
            batches.retain(|segments| *segments <= TRANSMIT_BYTES_MAX / bytes);
            batches.dedup();
            for (choice, segments) in [Choice::Socket, Choice::Raw, Choice::RawOffloaded]
                .into_iter()
                .flat_map(|choice| batches.iter().map(move |segments| (choice, *segments)))
            {
                println!("{}", measure(choice, local, bytes, segments, length)?);
            }
        }
    }
    Ok(())
}

/// One run, `segments` datagrams a transmit.
fn measure(
    choice: Choice,
    local: &str,
    datagram_bytes: usize,
    segments: usize,
    length: Duration,
) -> std::io::Result<serde_json::Value> {
    let runtimes = [runtime()?, runtime()?];
    let bind = |runtime: &tokio::runtime::Runtime| {
        let _guard = runtime.enter();
        Wire::bind(choice, local.parse().expect("an address"))
    };
    let (from, to) = (bind(&runtimes[0])?, bind(&runtimes[1])?);
    let (run, destination) = (Arc::new(Run::default()), to.local_addr());
    let [sending, receiving] = runtimes;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let receiver = {
        let run = run.clone();
        thread::spawn(move || {
            receiving.block_on(receive(&to, &run));
            to.counts()
        })
    };
    let chunk = vec![0x5a; datagram_bytes * segments];
    let transmit = Transmit {
        destination,
        source: None,
        ecn: None,
        contents: &chunk,
        segment_size: Some(datagram_bytes),
    };
    let stuck = sending.block_on(send(&from, &transmit, &run, length));
    run.over.store(true, Relaxed);
    let counts = receiver.join().expect("the receiver ends well");
    let (took, spent) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let bytes = run.received.load(Relaxed) as f64;
    Ok(serde_json::json!({
        "wire": from.name(),
        "local": local,
        "datagram_bytes": datagram_bytes,
        "segments": segments,
        "gbit_s": round(bytes * 8.0 / took / 1e9),
        "cpu_s_per_gb": round(spent / (bytes / 1e9)),
        "datagrams": counts.received,
        "overflowed": counts.overflowed,
        "lost": from.counts().sent - counts.received,
        "stuck": stuck,
    }))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Sends for a while, and returns whether it got stuck.
async fn send(wire: &Wire, transmit: &Transmit<'_>, run: &Run, length: Duration) -> bool {
    let (mut outbox, mut sent, began, mut moved) = (Outbox::new(), 0, Instant::now(), Instant::now());
    while began.elapsed() < length || run.received.load(Relaxed) < sent {
        let ahead = sent - run.received.load(Relaxed);
        if began.elapsed() < length && ahead < WINDOW_BYTES {
            outbox.push(transmit);
            wire.send(&mut outbox).await.expect("the wire works");
            sent += transmit.contents.len() as u64;
            moved = Instant::now();
        } else if moved.elapsed() > STUCK {
            return true;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    false
}

/// Counts bytes until the run is over.
async fn receive(wire: &Wire, run: &Run) {
    let mut inbox = Inbox::new();
    while !run.over.load(Relaxed) {
        let arrived = tokio::time::timeout(Duration::from_millis(50), wire.recv(&mut inbox)).await;
        if arrived.is_ok() {
            let bytes: usize = inbox.received().map(|received| received.contents.len()).sum();
            run.received.fetch_add(bytes as u64, Relaxed);
        }
    }
}

/// Seconds of processor time that this process has taken, the kernel's on its behalf included.
fn cpu_seconds() -> f64 {
    // SAFETY: `rusage` is plain data, and the kernel fills a live one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
