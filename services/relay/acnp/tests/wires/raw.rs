//! What only the raw wire has to prove: other devices than loopback, and silence towards peers.

use std::{
    io::{self, Read},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

use lowland_acnp::wire::{Choice, Inbox, Outbox, Wire};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    conversation::{self, Pair, receive, send, transmit},
    namespaces::{Namespaces, Side},
};

/// The largest datagrams of an Ethernet.
const ETHERNET_V4: usize = 1472;
const ETHERNET_V6: usize = 1452;

/// How long an answer that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(500);

fn wire(namespaces: &Namespaces, side: Side, choice: Choice, local: &str) -> Wire {
    let local = local.parse().expect("an address");
    namespaces.enter(side, || Wire::bind(choice, local)).expect("root may make any wire")
}

/// Holds the conversation between the two namespaces, with every pairing that has a raw wire.
async fn converse(namespaces: &Namespaces) {
    let choices = [
        (Choice::Raw, Choice::Raw),
        (Choice::Raw, Choice::Socket),
        (Choice::Socket, Choice::Raw),
        (Choice::RawOffloaded, Choice::Raw),
    ];
    for (a, b) in choices {
        for (left, right, largest) in
            [("10.99.0.1:0", "10.99.0.2:0", ETHERNET_V4), ("[fd99::1]:0", "[fd99::2]:0", ETHERNET_V6)]
        {
            let a = wire(namespaces, Side::Left, a, left);
            let b = wire(namespaces, Side::Right, b, right);
            conversation::all(&Pair::new(a, b, largest)).await;
        }
    }
}

#[tokio::test]
async fn it_converses_over_veth() {
    if let Some(namespaces) = Namespaces::veth() {
        converse(&namespaces).await;
    }
}

#[tokio::test]
async fn it_converses_over_tun() {
    if let Some(namespaces) = Namespaces::tun() {
        converse(&namespaces).await;
    }
}

/// Unspecified addresses on both sides: the routes choose the source, and datagrams are heard on the device.
#[tokio::test]
async fn it_converses_from_unspecified_addresses() {
    for namespaces in [Namespaces::veth(), Namespaces::tun()].into_iter().flatten() {
        for (left, right, largest) in
            [("10.99.0.1", "10.99.0.2", ETHERNET_V4), ("fd99::1", "fd99::2", ETHERNET_V6)]
        {
            let a = wire(&namespaces, Side::Left, Choice::Raw, "[::]:0");
            let b = wire(&namespaces, Side::Right, Choice::Raw, "[::]:0");
            let at = |ip: &str, wire: &Wire| SocketAddr::new(ip.parse().unwrap(), wire.local_addr().port());
            let (to_a, to_b) = (at(left, &a), at(right, &b));
            conversation::all(&Pair { a, b, to_a, to_b, largest }).await;
        }
    }
}

/// A link-local peer can be answered: its address keeps the interface.
#[tokio::test]
async fn it_answers_a_link_local_peer() {
    let Some(namespaces) = Namespaces::veth() else { return };
    let b = wire(&namespaces, Side::Right, Choice::Raw, "[::]:0");
    let (found, index) = namespaces.enter(Side::Right, link_local);
    let here = namespaces.enter(Side::Left, || link_local().1);
    assert_ne!(index, 0);
    let a = wire(&namespaces, Side::Left, Choice::Socket, "[::]:0");
    let to: SocketAddr = SocketAddrV6::new(found, b.local_addr().port(), 0, here).into();
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    // The kernel needs a moment to make the address valid.
    let mut came = Vec::new();
    for _ in 0..50 {
        outbox.push(&transmit(to, b"hello"));
        a.send(&mut outbox).await.unwrap();
        if tokio::time::timeout(Duration::from_millis(100), b.recv(&mut inbox)).await.is_ok() {
            came.extend(inbox.received().map(|received| received.remote));
            break;
        }
    }
    let remote = *came.first().expect("the datagram came");
    outbox.push(&transmit(remote, b"back"));
    send(&b, &mut outbox).await;
    assert_eq!(receive(&a, &mut inbox, 1).await[0].contents, b"back");
}

/// The link-local address and the index of `v0` in this thread's namespace; the kernel makes the address in its own time.
fn link_local() -> (Ipv6Addr, u32) {
    for _ in 0..500 {
        let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").expect("the kernel's table");
        let line = table.lines().find(|line| line.starts_with("fe80") && line.ends_with("v0"));
        if let Some(fields) = line.map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            let bits = u128::from_str_radix(fields[0], 16).expect("an address");
            return (bits.into(), u32::from_str_radix(fields[1], 16).expect("an index"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("v0 has no link-local address");
}

/// An observer beside the sender sees "port unreachable" from a closed port, and none from a raw wire's.
#[tokio::test]
async fn no_icmp_goes_out() {
    let Some(namespaces) = Namespaces::veth() else { return };
    let b = wire(&namespaces, Side::Right, Choice::Raw, "0.0.0.0:0");
    let (observer, sender) = namespaces.enter(Side::Left, || {
        let observer = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
        observer.set_read_timeout(Some(SILENCE)).unwrap();
        (observer, UdpSocket::bind("0.0.0.0:0").unwrap())
    });
    let closed = namespaces
        .enter(Side::Right, || UdpSocket::bind("10.99.0.2:0").unwrap().local_addr().unwrap().port());
    let ip = Ipv4Addr::new(10, 99, 0, 2);
    let mut inbox = Inbox::new();
    for _ in 0..3 {
        sender.send_to(b"hello", (ip, b.local_addr().port())).unwrap();
        receive(&b, &mut inbox, 1).await;
    }
    assert_eq!(unreachable_port(&observer), None, "the raw wire's port was said to be closed");
    sender.send_to(b"hello", (ip, closed)).unwrap();
    assert_eq!(unreachable_port(&observer), Some(closed), "the observer sees nothing at all");
}

/// The port about which the next ICMP message "port unreachable" is, if one comes.
fn unreachable_port(mut observer: &Socket) -> Option<u16> {
    let mut packet = [0; 1500];
    loop {
        let length = match observer.read(&mut packet) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        };
        // IPv4 header, ICMP header of 8 bytes, the quoted IPv4 header, the quoted ports (RFC 792).
        let (message, quoted) = (&packet[20..length], &packet[28..length]);
        if message[..2] == [3, 3] {
            return Some(u16::from_be_bytes([quoted[22], quoted[23]]));
        }
    }
}

/// An interface that appears after the wire is heard as well.
#[tokio::test]
async fn a_new_interface_is_heard() {
    let Some(namespaces) = Namespaces::veth() else { return };
    let b = wire(&namespaces, Side::Right, Choice::Raw, "0.0.0.0:0");
    namespaces.add_veth("v1", "10.98.0");
    let a = wire(&namespaces, Side::Left, Choice::Raw, "10.98.0.1:0");
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    outbox.push(&transmit((Ipv4Addr::new(10, 98, 0, 2), b.local_addr().port()).into(), b"from a new one"));
    send(&a, &mut outbox).await;
    let came = receive(&b, &mut inbox, 1).await;
    assert_eq!(came[0].remote, a.local_addr());
}

/// Fragments are no datagrams of ours, even if a peer's kernel made them.
#[tokio::test]
async fn fragments_are_refused() {
    let Some(namespaces) = Namespaces::veth() else { return };
    let b = wire(&namespaces, Side::Right, Choice::Raw, "10.99.0.2:0");
    let sender = namespaces.enter(Side::Left, || UdpSocket::bind("10.99.0.1:0").unwrap());
    let (level, name, allow) = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT);
    let length = size_of_val(&allow) as libc::socklen_t;
    // SAFETY: the value is an integer of the stated length that lives through the call.
    let set = unsafe {
        libc::setsockopt(sender.as_raw_fd(), level, name, std::ptr::from_ref(&allow).cast(), length)
    };
    assert_eq!(set, 0);
    sender.send_to(&[1; 4000], b.local_addr()).unwrap();
    sender.send_to(b"whole", b.local_addr()).unwrap();
    let came = receive(&b, &mut Inbox::new(), 1).await;
    assert_eq!(came[0].contents, b"whole");
}

/// Without the capability, the error says what to do.
#[test]
fn without_the_capability_it_says_what_to_do() {
    let refused = std::thread::spawn(|| {
        let nobody = 65_534;
        // SAFETY: the plain system call changes the calling thread alone, which ends with this closure.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) };
        if changed != 0 {
            println!("SKIPPED: only root can put its capabilities off");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let auto = Wire::auto("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(auto.name(), "socket");
        Wire::raw("127.0.0.1:0".parse().unwrap()).map(|_| ()).unwrap_err()
    });
    let refused = refused.join().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("CAP_NET_RAW"), "{refused}");
}
