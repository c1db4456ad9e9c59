//! Loss detection as a whole.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::proto::Time;

const MS: Duration = Duration::from_millis(1);
const SIZE: u32 = 1000;

fn at(ms: u32) -> Time {
    Time::ZERO + MS * ms
}

/// Packets with their own numbers for payload, one a millisecond from the beginning on.
fn sent(packets: u32) -> Recovery<u64> {
    let mut recovery = Recovery::new(MS * 100, MS * 5);
    for n in 0..packets {
        let number = recovery.on_sent(at(n), Some((SIZE, false, u64::from(n))));
        assert_eq!(number, u64::from(n));
    }
    recovery
}

fn ack(recovery: &mut Recovery<u64>, ms: u32, ranges: &[RangeInclusive<u64>]) -> Outcome<u64> {
    let mut out = Outcome::default();
    recovery
        .on_ack(at(ms), ranges.iter().cloned(), [], Duration::ZERO, None, &mut out)
        .expect("they were sent");
    out
}

fn numbers(packets: &[(u64, u64)]) -> Vec<u64> {
    packets
        .iter()
        .map(|(number, payload)| (*number == *payload).then_some(*number).expect("it is its own"))
        .collect()
}

#[test]
fn a_packet_is_lost_when_one_that_left_later_came_and_the_window_has_passed() {
    let mut recovery = sent(10);
    let out = ack(&mut recovery, 103, &[3..=3, 0..=1]);
    assert_eq!((numbers(&out.acked), numbers(&out.lost)), (vec![3, 1, 0], vec![]));
    // Packet 2 left at 2; the round trip is 100, the window a quarter.
    assert_eq!(recovery.next_timeout(), Some(at(127)));
    let mut out = Outcome::default();
    recovery.on_timeout(at(126), &mut out);
    assert!(numbers(&out.lost).is_empty());
    recovery.on_timeout(at(127), &mut out);
    assert_eq!((numbers(&out.lost), out.losses.packets, recovery.in_flight()), (vec![2], 1, 6000));
    // The rest is probed for.
    assert_eq!(recovery.next_timeout(), Some(at(9) + recovery.pto()));
    recovery.on_timeout(at(9) + recovery.pto(), &mut out);
    assert!(recovery.owes_probe());
}

#[test]
fn a_packet_given_up_that_comes_is_reported_and_widens_the_window() {
    let mut recovery = sent(10);
    ack(&mut recovery, 109, &[9..=9, 3..=7, 0..=1]);
    let out = ack(&mut recovery, 140, &[9..=9, 3..=7, 0..=1]);
    assert_eq!(numbers(&out.lost), [2, 8]);
    let window = recovery.reorder_window();
    let out = ack(&mut recovery, 141, &[9..=9, 2..=7, 0..=1]);
    assert_eq!(
        out.spurious.iter().map(|spurious| (spurious.number, spurious.lateness)).collect::<Vec<_>>(),
        [(2, MS * 39)]
    );
    assert!(out.acked.is_empty() && recovery.reorder_window() > window);
    assert_eq!(recovery.totals(), (8000, 1000));
    assert!(ack(&mut recovery, 142, &[9..=9, 2..=7, 0..=1]).spurious.is_empty(), "it is reported once");
}

#[test]
fn a_late_packet_widens_the_window_once_there_are_enough() {
    let mut recovery = sent(100);
    for n in 0..20 {
        let first = n * 4;
        ack(
            &mut recovery,
            103 + 4 * u32::try_from(n).expect("it is small"),
            &[first + 3..=first + 3, 0..=first + 1],
        );
        ack(&mut recovery, 103 + 4 * u32::try_from(n).expect("it is small") + 9, &[0..=first + 3]);
    }
    // Each was 10 ms later than its time.
    let window = recovery.reorder_window();
    assert!(window >= MS * 9 && window <= MS * 14, "{window:?}");
}

#[test]
fn what_fec_recovered_counts_as_lost_and_is_not_sent_again() {
    let mut recovery = sent(4);
    let mut out = Outcome::default();
    recovery.on_ack(at(103), [0..=3], [2], Duration::ZERO, None, &mut out).expect("they were sent");
    assert_eq!((numbers(&out.acked), numbers(&out.recovered)), (vec![3, 1, 0], vec![2]));
    assert_eq!((out.losses.bytes, out.lost.len(), recovery.in_flight()), (1000, 0, 0));
    assert_eq!(recovery.next_timeout(), None);
}

#[test]
fn marks_are_counted_once() {
    let mut recovery = sent(4);
    for (number, ce, new) in [(0, 3, 3), (1, 3, 0), (2, 4, 1), (3, 2, 0)] {
        let mut out = Outcome::default();
        let ecn = Some(EcnCounts { ce, ..EcnCounts::default() });
        recovery.on_ack(at(100), [0..=number], [], Duration::ZERO, ecn, &mut out).expect("they were sent");
        assert_eq!(out.ce, new);
    }
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let mut recovery = sent(4);
    let mut out = Outcome::default();
    assert_eq!(recovery.on_ack(at(1), [2..=4], [], Duration::ZERO, None, &mut out), Err(NeverSent));
    assert_eq!((out.acked.len(), recovery.in_flight()), (0, 4000));
}

#[test]
fn silence_for_three_time_outs_is_persistent_congestion() {
    let mut recovery = sent(1);
    ack(&mut recovery, 100, &[0..=0]);
    let pto = recovery.pto();
    for n in 0..5 {
        recovery.on_sent(at(200) + pto * n, Some((SIZE, false, u64::from(n) + 1)));
    }
    let last = recovery.on_sent(at(200) + pto * 5, Some((SIZE, false, 6)));
    let mut out = Outcome::default();
    let now = at(300) + pto * 5;
    recovery.on_ack(now, [last..=last, 0..=0], [], Duration::ZERO, None, &mut out).expect("it was sent");
    assert_eq!(out.lost.len(), 5);
    assert!(out.losses.persistent);
}

proptest! {
    /// However ACKs come, each packet's fate is told once, and the count of bytes under way is right.
    #[test]
    fn each_fate_is_told_once(acks in prop::collection::vec((prop::collection::vec((0..60_u64, 0..6_u64), 1..5), 1..40_u32), 0..40)) {
        let mut recovery = sent(60);
        let (mut now, mut known) = (60, BTreeSet::new());
        for (ranges, pause) in acks {
            now += pause;
            let all: BTreeSet<u64> = ranges.iter().flat_map(|(first, len)| *first..(first + len + 1).min(60)).collect();
            let ranges: Vec<_> = all.iter().rev().map(|number| *number..=*number).collect();
            let mut out = Outcome::default();
            recovery.on_ack(at(now), ranges, all.iter().copied().filter(|n| n % 7 == 0), MS, None, &mut out).expect("they were sent");
            if recovery.next_timeout().is_some_and(|timeout| timeout <= at(now)) {
                recovery.on_timeout(at(now), &mut out);
            }
            for (number, _) in out.acked.iter().chain(&out.lost).chain(&out.recovered) {
                prop_assert!(known.insert(*number), "{number} twice");
            }
            prop_assert!(out.spurious.iter().all(|spurious| known.contains(&spurious.number)));
            prop_assert!(all.iter().all(|number| known.contains(number)));
            prop_assert_eq!(recovery.in_flight(), (60 - known.len() as u64) * u64::from(SIZE));
            prop_assert_eq!(recovery.iter().count(), 60 - known.len());
        }
    }
}
