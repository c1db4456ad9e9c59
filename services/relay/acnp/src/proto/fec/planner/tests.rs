//! The planner's promises: how many repairs, over what, when, and never above the cap.

use super::{Class, Config, Counters, Fate, Mode, Order, Planner};
use crate::proto::Time;
use proptest::prelude::*;
use std::time::Duration;

const BYTES: usize = 1000;

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn planner(mode: Mode) -> Planner {
    let mut planner = Planner::new(Config { mode, ..Config::default() });
    planner.on_rtt(Duration::from_millis(200));
    planner
}

fn send(planner: &mut Planner, millis: u64, pns: impl Iterator<Item = u64>, class: Class) {
    pns.for_each(|pn| planner.on_sent(at(millis), pn, BYTES, class));
}

/// All repairs that are due, each of them sent.
fn repairs(planner: &mut Planner, millis: u64) -> Vec<Order> {
    let next = |planner: &mut Planner| {
        let order = planner.poll(at(millis), true)?;
        planner.on_sent(at(millis), 1_000_000, BYTES, Class::Repair);
        Some(order)
    };
    std::iter::from_fn(|| next(planner)).collect()
}

#[test]
fn a_lone_flight_is_covered_at_once() {
    let mut planner = planner(Mode::LowLatency);
    send(&mut planner, 0, 0..5, Class::First);
    assert_eq!(planner.poll(at(0), false), None, "no room");
    let orders = repairs(&mut planner, 0);
    assert_eq!(orders.len(), 2, "5 packets at 1 % want 2 repairs");
    assert!(orders.iter().all(|order| order.pns == (0..=4)));
    assert_ne!(orders[0].seed, orders[1].seed);
    assert_eq!(planner.next_wakeup(), None);
}

#[test]
fn small_flights_of_a_steady_flow_wait_for_company() {
    let mut planner = planner(Mode::LowLatency);
    send(&mut planner, 0, 0..1, Class::First);
    repairs(&mut planner, 0);
    send(&mut planner, 20, 1..2, Class::First);
    assert_eq!(repairs(&mut planner, 20), []);
    send(&mut planner, 40, 2..3, Class::First);
    assert_eq!(repairs(&mut planner, 40), []);
    let due = planner.next_wakeup().unwrap();
    assert!(due > at(60) && due <= at(70), "within a quarter of the round trip after 20 ms: {due:?}");
    let orders = repairs(&mut planner, 70);
    assert_eq!(orders.iter().map(|order| order.pns.clone()).collect::<Vec<_>>(), [1..=2]);
}

#[test]
fn repairs_keep_away_from_bursts() {
    let mut planner = planner(Mode::LowLatency);
    // Bursts of 4 packets over 12 ms.
    planner.on_outcomes(
        (0..4000).map(|pn| (pn, at(4 * pn), if pn % 100 < 4 { Fate::Lost } else { Fate::Arrived })),
    );
    assert_eq!(planner.loss().bursts().packets_high, 4);
    send(&mut planner, 20_000, 5000..5040, Class::First);
    assert_eq!(repairs(&mut planner, 20_000), []);
    assert_eq!(repairs(&mut planner, 20_011), [], "not past the burst in time");
    assert_eq!(repairs(&mut planner, 20_013), [], "nor, without packets between, in packets");
    send(&mut planner, 20_014, 5040..5043, Class::First);
    let orders = repairs(&mut planner, 20_014);
    assert_eq!(orders.first().map(|order| order.pns.clone()), Some(5000..=5039));
    assert!(repairs(&mut planner, 20_049).len() > 1, "the deadline overrules the spacing");
}

#[test]
fn a_flight_whose_outcome_is_known_is_covered_no_more() {
    let mut planner = planner(Mode::LowLatency);
    send(&mut planner, 0, 0..5, Class::First);
    planner.on_outcomes((0..5).map(|pn| (pn, at(0), if pn == 2 { Fate::Recovered } else { Fate::Arrived })));
    assert_eq!(repairs(&mut planner, 1), []);
    assert_eq!(planner.counters().used, 1);
}

#[test]
fn what_comes_too_late_is_not_sent() {
    let mut planner = planner(Mode::LowLatency);
    send(&mut planner, 0, 0..5, Class::First);
    assert_eq!(planner.poll(at(10), false), None);
    assert_eq!(planner.poll(at(60), false), None);
    assert_eq!(repairs(&mut planner, 200), []);
    assert_eq!(planner.counters().forgone, 2);
}

#[test]
fn bandwidth_mode_covers_retransmissions_and_the_tail() {
    let mut planner = planner(Mode::Bandwidth);
    send(&mut planner, 0, 0..50, Class::First);
    send(&mut planner, 1, 50..53, Class::Retransmission);
    send(&mut planner, 2, 53..120, Class::First);
    let orders = repairs(&mut planner, 2);
    let mut windows: Vec<_> = orders.into_iter().map(|order| order.pns).collect();
    windows.dedup();
    assert_eq!(windows, [50..=52, 104..=119]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is sent, lost and polled: within the cap (but for the credit at the start, and one repair), and no panic.
    #[test]
    fn the_cap_holds(
        steps in prop::collection::vec((0_u64..30, 0_u64..60, 0_u8..4, any::<bool>(), any::<bool>()), 1..100),
        bandwidth: bool,
    ) {
        let mut planner = planner(if bandwidth { Mode::Bandwidth } else { Mode::LowLatency });
        let (mut now, mut pn, mut heard) = (0, 0, 0);
        for (pause, packets, class, room, lossy) in steps {
            now += pause;
            let class = [Class::First, Class::First, Class::Retransmission, Class::Other][usize::from(class)];
            send(&mut planner, now, pn..pn + packets, class);
            pn += packets;
            for _ in 0..if room { 50 } else { 0 } {
                let Some(order) = planner.poll(at(now), true) else { break };
                prop_assert!(order.pns.start() <= order.pns.end() && *order.pns.end() < pn);
                planner.on_sent(at(now), pn, BYTES, Class::Repair);
                pn += 1;
            }
            if lossy {
                let fate = |pn| if pn % 7 < 2 { Fate::Lost } else { Fate::Arrived };
                planner.on_outcomes((heard..pn).map(|pn| (pn, at(now), fate(pn))));
                heard = pn;
            }
            let Counters { content_bytes, sent_bytes, .. } = planner.counters();
            prop_assert!(sent_bytes as f64 <= 0.8 * content_bytes as f64 + 6_000.0 + BYTES as f64);
        }
    }
}
