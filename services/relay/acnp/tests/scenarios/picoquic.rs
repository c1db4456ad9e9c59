//! picoquic's: long, uneven and unsteady paths.

use std::time::Duration;

use crate::{
    SECOND, bulk_world, request,
    sim::{Link, workload::Job},
    whole,
};
use lowland_acnp::proto::Side;

const BULK: u64 = 8 << 20;

/// 250 Mbit/s down, 3 Mbit/s up, 600 ms round trip.
#[test]
fn satellite() {
    let mut world = bulk_world(1, Link::new(300).rate(250.0, 600));
    world.up = Link::new(300).rate(3.0, 600);
    let took = whole(&mut world, vec![request(100 << 20)], 60);
    println!("satellite: {took:.1} s");
    assert!(took < 15.0, "{took} s for 100 MB; 4.5 is the path's own");
}

#[test]
fn satellite_loss() {
    let mut world = bulk_world(2, Link::new(300).rate(250.0, 600).loss(0.01));
    world.up = Link::new(300).rate(3.0, 600).loss(0.01);
    let took = whole(&mut world, vec![request(100 << 20)], 90);
    println!("satellite, 1 % lost: {took:.1} s");
    assert!(took < 25.0, "{took}");
}

/// 10 Mbit/s down and 0.5 Mbit/s up: ACKs have to be few.
#[test]
fn asymmetric() {
    let mut world = bulk_world(1, Link::new(20).rate(10.0, 200));
    world.up = Link::new(100).rate(0.5, 200);
    let took = whole(&mut world, vec![request(BULK)], 60);
    assert!(took < 10.0, "{took} s for 67 Mbit at 10 Mbit/s");
}

/// The rate falls to a tenth and comes back.
#[test]
fn drop_and_back() {
    let mut link = Link::new(25).rate(10.0, 200);
    link.steps = vec![(SECOND * 2, 1_000_000), (SECOND * 4, 10_000_000)];
    let took = whole(&mut bulk_world(1, link), vec![request(BULK)], 60);
    assert!(took < 14.0, "{took} s; 8.5 is the path's own");
}

/// The rate is low first and then high.
#[test]
fn low_and_up() {
    let mut link = Link::new(25).rate(1.0, 500);
    link.steps = vec![(Duration::from_millis(2500), 20_000_000)];
    let took = whole(&mut bulk_world(1, link), vec![request(BULK)], 60);
    assert!(took < 10.0, "{took} s; 5.7 is the path's own");
}

/// A radio that fades away in the middle, for a while almost to nothing.
#[test]
fn fade() {
    let mut link = Link::new(50).rate(20.0, 200);
    link.steps = vec![
        (SECOND, 5_000_000),
        (SECOND * 2, 200_000),
        (SECOND * 3, 100_000),
        (SECOND * 4, 5_000_000),
        (SECOND * 5, 20_000_000),
    ];
    let mut world = bulk_world(1, link);
    world.down.blackouts = vec![(Duration::from_millis(3200), Duration::from_millis(3600))];
    let took = whole(&mut world, vec![request(BULK)], 60);
    assert!(took < 30.0, "{took} s; 6.1 is the path's own");
}

/// Wi-Fi that goes to another channel now and then: half a second of nothing, then everything.
#[test]
fn wifi_gaps() {
    let mut world = bulk_world(1, Link::new(5).rate(20.0, 500));
    let gap = |at: u32| (SECOND * at, SECOND * at + Duration::from_millis(400));
    world.down.blackouts = (1..8).map(gap).collect();
    let took = whole(&mut world, vec![request(BULK)], 60);
    assert!(took < 10.0, "{took} s; 5.4 is the path's own");
}

/// Every tenth packet is overtaken by those of 20 ms.
#[test]
fn disorder() {
    let link = Link { reorder: 0.1, reorder_by: Duration::from_millis(20), ..Link::new(25).rate(20.0, 100) };
    let jobs = vec![Job::new(Side::Client, BULK), Job::new(Side::Server, 1000)];
    let mut world = bulk_world(1, link);
    let took = whole(&mut world, jobs, 60);
    assert!(took < 6.0, "{took} s for 67 Mbit at 20 Mbit/s");
    let lost = world.client.connection().stats().packets_lost;
    assert!(lost < 1500, "{lost} packets taken for lost, and none was");
}
