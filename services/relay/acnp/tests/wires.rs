//! One suite, every wire: raw packets, sockets and memory hold the same conversation, over loopback, veth and TUN.
//!
//! The raw wire needs CAP_NET_RAW, namespaces need root; a test that may not run says so with `SKIPPED`.

#[path = "wires/conversation.rs"]
mod conversation;
#[cfg(target_os = "linux")]
#[path = "wires/namespaces.rs"]
mod namespaces;
#[cfg(target_os = "linux")]
#[path = "wires/raw.rs"]
mod raw;

use std::{io, net::SocketAddr, time::Duration};

use conversation::{Pair, contents, receive, send, transmit};
use lowland_acnp::wire::{
    Choice, Inbox, Outbox, Wire,
    memory::{Network, Path},
};

/// The largest datagrams that the loopback device takes.
const LOOPBACK_V4: usize = 65_507;
const LOOPBACK_V6: usize = 65_488;

/// A wire, unless the system forbids it.
fn wire(choice: Choice, local: &str) -> Option<Wire> {
    match Wire::bind(choice, local.parse().expect("an address")) {
        Ok(wire) => Some(wire),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            println!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{choice:?} at {local}: {error}"),
    }
}

/// Holds the conversation over loopback, between any two kinds of wire.
async fn loopback(a: Choice, b: Choice) {
    for (local, largest) in [("127.0.0.1:0", LOOPBACK_V4), ("[::1]:0", LOOPBACK_V6)] {
        let (Some(a), Some(b)) = (wire(a, local), wire(b, local)) else { return };
        conversation::all(&Pair::new(a, b, largest)).await;
    }
}

#[tokio::test]
async fn sockets_converse() {
    loopback(Choice::Socket, Choice::Socket).await;
}

#[tokio::test]
async fn raw_wires_converse() {
    loopback(Choice::Raw, Choice::Raw).await;
    loopback(Choice::RawOffloaded, Choice::RawOffloaded).await;
}

#[tokio::test]
async fn a_raw_wire_converses_with_a_socket() {
    loopback(Choice::Raw, Choice::Socket).await;
    loopback(Choice::Socket, Choice::Raw).await;
}

#[tokio::test(start_paused = true)]
async fn memory_converses() {
    let path = Path { delay: Duration::from_millis(90), ..Path::default() };
    let network = Network::new(path, 1);
    let wires = ["10.0.0.1:1", "10.0.0.2:1"].map(|local| network.wire(local.parse().unwrap()).unwrap());
    let [a, b] = wires;
    conversation::all(&Pair::new(a, b, path.datagram_bytes_max)).await;
}

/// A wire at the unspecified address of IPv6 serves both families, answers from the right address, and shows plain IPv4.
async fn both_families(choice: Choice) {
    let Some(server) = wire(choice, "[::]:0") else { return };
    let port = server.local_addr().port();
    for local in ["127.0.0.1", "::1"] {
        let to: SocketAddr = (local.parse::<std::net::IpAddr>().unwrap(), port).into();
        let client = wire(Choice::Socket, &SocketAddr::new(to.ip(), 0).to_string()).unwrap();
        let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
        outbox.push(&transmit(to, b"hello"));
        send(&client, &mut outbox).await;
        let came = receive(&server, &mut inbox, 1).await.remove(0);
        assert_eq!((came.remote, came.local), (client.local_addr(), Some(to.ip())));
        for source in [came.local, None] {
            outbox.push(&lowland_acnp::wire::Transmit { source, ..transmit(came.remote, b"back") });
            send(&server, &mut outbox).await;
            assert_eq!(receive(&client, &mut inbox, 1).await[0].remote, to);
        }
    }
}

#[tokio::test]
async fn one_wire_serves_both_families() {
    both_families(Choice::Socket).await;
    both_families(Choice::Raw).await;
}

/// Two wires at unspecified addresses hold the conversation; the routes choose the source.
#[tokio::test]
async fn unspecified_addresses_converse() {
    for choice in [Choice::Socket, Choice::Raw, Choice::RawOffloaded] {
        for (local, at, largest) in [
            ("0.0.0.0:0", "127.0.0.1", LOOPBACK_V4),
            ("[::]:0", "::1", LOOPBACK_V6),
            ("[::]:0", "127.0.0.1", LOOPBACK_V4),
        ] {
            let (Some(a), Some(b)) = (wire(choice, local), wire(choice, local)) else { return };
            let at = |wire: &Wire| SocketAddr::new(at.parse().unwrap(), wire.local_addr().port());
            let (to_a, to_b) = (at(&a), at(&b));
            conversation::all(&Pair { a, b, to_a, to_b, largest }).await;
        }
    }
}

/// A wire hears nothing that goes to another port or another address.
#[tokio::test]
async fn foreign_traffic_is_not_seen() {
    for choice in [Choice::Socket, Choice::Raw] {
        for (local, other) in [("127.0.0.1:0", "127.0.0.2"), ("[::1]:0", "127.0.0.1")] {
            let (Some(ours), Some(theirs)) = (wire(choice, local), wire(choice, local)) else { return };
            let stranger = wire(Choice::Socket, "127.0.0.1:0").unwrap();
            let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
            let elsewhere = SocketAddr::new(other.parse().unwrap(), ours.local_addr().port());
            outbox.push(&transmit(elsewhere, b"for another address"));
            outbox.push(&transmit(stranger.local_addr(), b"for another port"));
            stranger.send(&mut outbox).await.unwrap();
            outbox.push(&transmit(ours.local_addr(), b"for us"));
            send(&theirs, &mut outbox).await;
            assert_eq!(receive(&ours, &mut inbox, 1).await[0].contents, b"for us");
            assert_eq!((ours.counts().received, ours.counts().refused), (1, 0));
        }
    }
}

/// What no route leads to is reported, not lost in silence, and the wire goes on.
#[tokio::test]
async fn what_the_system_refuses_is_reported() {
    for choice in [Choice::Socket, Choice::Raw] {
        let Some(wire) = wire(choice, "127.0.0.1:0") else { return };
        let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
        outbox.push(&transmit("[fd99::1]:1".parse().unwrap(), b"another family"));
        outbox.push(&transmit(wire.local_addr(), b"to myself"));
        wire.send(&mut outbox).await.unwrap();
        let failures: Vec<_> = outbox.failures().collect();
        assert_eq!((failures.len(), failures[0].transmit, wire.counts().send_refused), (1, 0, 1));
        assert_eq!(receive(&wire, &mut inbox, 1).await[0].contents, b"to myself");
    }
}

/// What a receive queue cannot take is counted.
#[tokio::test]
async fn what_overflows_is_counted() {
    for choice in [Choice::Socket, Choice::Raw] {
        let Some(wire) = wire(choice, "127.0.0.1:0") else { return };
        let flood = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..40_000 {
            flood.send_to(&[0; 1000], wire.local_addr()).unwrap();
        }
        assert!(wire.counts().overflowed > 0, "{choice:?}");
        // What was not lost comes: together that is everything.
        let mut inbox = Inbox::new();
        while wire.counts().received + wire.counts().overflowed < 40_000 {
            tokio::time::timeout(Duration::from_secs(5), wire.recv(&mut inbox)).await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn memory_loses_and_disorders_by_its_seed() {
    let path = Path {
        delay: Duration::from_millis(50),
        loss: 0.1,
        reorder: 0.1,
        held_back: Duration::from_millis(20),
        ..Path::default()
    };
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let network = Network::new(path, seed);
        let [a, b] = ["10.0.0.1:1", "10.0.0.2:1"].map(|local| network.wire(local.parse().unwrap()).unwrap());
        let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
        for number in 0..1000_u16 {
            outbox.push(&transmit(b.local_addr(), &number.to_be_bytes()));
        }
        send(&a, &mut outbox).await;
        let mut came = Vec::new();
        while tokio::time::timeout(Duration::from_secs(1), b.recv(&mut inbox)).await.is_ok() {
            came.extend(inbox.received().map(|received| received.contents.to_vec()));
        }
        runs.push(came);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!((850..950).contains(&runs[0].len()), "{}", runs[0].len());
    assert!(!runs[0].is_sorted());
}

#[tokio::test]
async fn auto_takes_what_the_system_allows() {
    let wire = Wire::auto("127.0.0.1:0".parse().unwrap()).unwrap();
    let raw = Wire::raw("127.0.0.1:0".parse().unwrap()).is_ok();
    assert_eq!(wire.name(), if raw { "raw" } else { "socket" });
    assert_eq!("auto".parse(), Ok(Choice::Auto));
    assert!("tcp".parse::<Choice>().is_err());
    assert_ne!(contents(1, 9), contents(2, 9));
}
