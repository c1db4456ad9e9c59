//! A way in simulated time: what enters, what comes out, and that a seed repeats it.

use super::*;
use crate::path::parse_path;

fn model(text: &str, seed: u64) -> Model {
    let path = parse_path(text).expect("a path");
    Model::new(&path.lines[0].down, path.rtt(), seed, Which { line: 0, down: true })
}

fn packet(number: u16) -> Vec<u8> {
    let mut packet = vec![0; 1250];
    packet[..4].copy_from_slice(&[0x45, 0b10, 0, 0]);
    packet[20..22].copy_from_slice(&number.to_be_bytes());
    packet
}

/// Feeds `count` packets, one each `every_us`, and returns what came out.
fn feed(model: &mut Model, count: u16, every_us: u64) -> Vec<Delivery> {
    let mut out = Vec::new();
    for number in 0..count {
        model.enter(Duration::from_micros(u64::from(number) * every_us), packet(number), &mut out);
    }
    out
}

fn numbers(out: &[Delivery]) -> Vec<u16> {
    let mut out: Vec<_> = out.iter().collect();
    out.sort_by_key(|delivery| delivery.at);
    out.iter().map(|delivery| u16::from_be_bytes([delivery.packet[20], delivery.packet[21]])).collect()
}

#[test]
fn a_packet_takes_the_delay_and_its_serialisation() {
    let out = feed(&mut model("rtt=100ms:rate=10", 1), 1, 0);
    assert_eq!(out[0].at, Duration::from_millis(51));
    assert_eq!(out[0].packet, packet(0));
}

#[test]
fn a_seed_repeats_a_run_and_another_does_not() {
    let text = "rtt=100ms:jitter=10ms:rate=50:loss=3%:bursts=1%x5:duplicate=1%:corrupt=1%:blackout=50ms/1s";
    let run = |seed| feed(&mut model(text, seed), 5000, 300);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn the_rate_holds_and_the_queue_overflows() {
    let mut model = model("rate=10:queue=12500", 1);
    let out = feed(&mut model, 1000, 500);
    let span = out.last().expect("some arrived").at.as_secs_f64();
    let rate = out.len() as f64 * 1250.0 * 8.0 / span;
    assert!((9.9e6..10.1e6).contains(&rate), "{rate}");
    assert_eq!(model.tally().dropped_queue as usize, 1000 - out.len());
    assert!(model.tally().queued_ms_max <= 10.0 + 1e-6);
}

#[test]
fn free_jitter_reorders_and_kept_order_does_not() {
    let free = numbers(&feed(&mut model("rtt=100ms:jitter=20ms", 1), 1000, 1000));
    let kept = numbers(&feed(&mut model("rtt=100ms:jitter=20ms:order=kept", 1), 1000, 1000));
    assert!(!free.is_sorted());
    assert!(kept.is_sorted());
    assert_eq!((free.len(), kept.len()), (1000, 1000));
}

#[test]
fn duplicates_and_turned_bits_are_counted() {
    let mut model = model("duplicate=10%:corrupt=10%", 1);
    let out = feed(&mut model, 2000, 100);
    let tally = *model.tally();
    assert_eq!(out.len() as u64, 2000 + tally.duplicated);
    let broken = out.iter().filter(|delivery| delivery.packet[22..].iter().any(|byte| *byte != 0)).count();
    assert!((120..280).contains(&tally.duplicated) && (120..280).contains(&tally.corrupted), "{tally:?}");
    assert!(broken as u64 >= tally.corrupted * 9 / 10, "{broken} of {}", tally.corrupted);
}

#[test]
fn a_long_queue_marks_and_a_short_one_does_not() {
    let mut busy = model("rate=10:ecn=5ms:queue=1000000", 1);
    feed(&mut busy, 100, 100);
    let mut idle = model("rate=10:ecn=5ms:queue=1000000", 1);
    feed(&mut idle, 100, 2000);
    assert!(busy.tally().marked > 80 && idle.tally().marked == 0);
}

#[test]
fn both_ways_go_dark_together() {
    let path = parse_path("blackout=100ms/1s").expect("a path");
    let dark = |down| {
        let mut model = Model::new(&path.lines[0].up, path.rtt(), 9, Which { line: 0, down });
        numbers(&feed(&mut model, 5000, 1000))
    };
    assert_eq!(dark(true), dark(false));
    assert_eq!(dark(true).len(), 4500);
}

#[test]
fn each_way_and_line_has_luck_of_its_own() {
    let path = parse_path("loss=10%").expect("a path");
    let luck = |line, down| {
        let mut model = Model::new(&path.lines[0].up, path.rtt(), 9, Which { line, down });
        numbers(&feed(&mut model, 500, 1000))
    };
    assert_ne!(luck(0, true), luck(0, false));
    assert_ne!(luck(0, true), luck(1, true));
}
