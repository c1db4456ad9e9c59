//! The emulator with real packets: they cross the line that they are sent on, what is lost is counted, and nothing stays
//! behind. Needs root: `cargo test -p lowland-netlab -- --ignored`.

use std::{
    net::{IpAddr, UdpSocket},
    process::Command,
    time::Duration,
};

use lowland_netlab::{
    emulator::{Emulator, Family, Namespace, client_address, server_address},
    path::parse_path,
};

/// How long a packet may take that is to come; it says nothing of how long it does.
const PATIENCE: Duration = Duration::from_secs(10);

const PACKETS: u64 = 200;

fn socket(namespace: &Namespace, address: IpAddr) -> UdpSocket {
    let socket = namespace.within(|| UdpSocket::bind((address, 0))).expect("a socket in the namespace");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    socket
}

fn talk(text: &str, family: Family, line: usize) -> lowland_netlab::emulator::Report {
    let path = parse_path(text).expect("a path");
    let emulator = Emulator::open(&path, family, 1).expect("root");
    let client = socket(emulator.client(), client_address(family, line));
    let server = socket(emulator.server(), server_address(family, line));
    let to = server.local_addr().expect("bound");
    for number in 0..PACKETS {
        client.send_to(&number.to_be_bytes(), to).expect("the line takes it");
    }
    // The last packet is sent again until it arrives: by then all others have, or never will.
    let mut last = [0; 8];
    server.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
    while u64::from_be_bytes(last) != u64::MAX {
        client.send_to(&u64::MAX.to_be_bytes(), to).expect("the line takes it");
        while server.recv(&mut last).is_ok() {}
    }
    emulator.close().expect("a report")
}

#[test]
#[ignore = "needs root"]
fn packets_cross_their_line_and_the_lost_are_counted() {
    let report = talk("rtt=10ms:rate=100:loss=10%", Family::V4, 0);
    assert!(report.up.packets > PACKETS && report.down.packets == 0, "{report:?}");
    assert!((5..80).contains(&report.up.dropped_random), "{report:?}");
    assert_eq!(report.up.bytes, report.up.packets * 36);
}

#[test]
#[ignore = "needs root"]
fn each_line_carries_its_own_packets() {
    let report = talk("rtt=10ms:rate=100+rtt=20ms:rate=50", Family::V4, 1);
    let (first, second) = (report.lines[0].0, report.lines[1].0);
    assert!(first.packets == 0 && second.packets > PACKETS, "{report:?}");
}

#[test]
#[ignore = "needs root"]
fn version_six_crosses_too() {
    let report = talk("rtt=10ms:rate=100", Family::V6, 0);
    assert!(report.up.packets > PACKETS, "{report:?}");
}

#[test]
#[ignore = "needs root"]
fn no_device_stays_outside_and_a_child_ends_with_its_namespace_closed() {
    let path = parse_path("rtt=10ms:rate=100").expect("a path");
    let emulator = Emulator::open(&path, Family::V4, 1).expect("root");
    let mut inside = Command::new("ip");
    inside.args(["-o", "link"]);
    emulator.client().place(&mut inside);
    let links = |command: &mut Command| {
        String::from_utf8_lossy(&command.output().expect("ip of iproute2").stdout).into_owned()
    };
    assert!(links(&mut inside).contains("line0"));
    assert!(!links(Command::new("ip").args(["-o", "link"])).contains("line0"));
}
