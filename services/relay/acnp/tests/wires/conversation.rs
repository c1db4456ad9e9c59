//! What every wire has to do, whatever carries it: two wires talk, and each statement is checked.

use std::{future::Future, net::SocketAddr, time::Duration};

use lowland_acnp::wire::{Ecn, Inbox, Outbox, SendError, Transmit, Wire};

/// How long a wire may take to deliver on a path that loses nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two wires that reach each other, and what the path between them takes.
pub(crate) struct Pair {
    /// The one that mostly sends.
    pub(crate) a: Wire,
    /// The one that mostly receives.
    pub(crate) b: Wire,
    /// Where `a` reaches `b`.
    pub(crate) to_b: SocketAddr,
    /// Where `b` reaches `a`.
    pub(crate) to_a: SocketAddr,
    /// Bytes of the largest datagram that the path takes.
    pub(crate) largest: usize,
}

impl Pair {
    /// Two wires at specific addresses.
    pub(crate) fn new(a: Wire, b: Wire, largest: usize) -> Pair {
        let (to_a, to_b) = (a.local_addr(), b.local_addr());
        Pair { a, b, to_b, to_a, largest }
    }
}

/// A received datagram, copied out.
#[derive(Debug, PartialEq)]
pub(crate) struct Datagram {
    pub(crate) remote: SocketAddr,
    pub(crate) local: Option<std::net::IpAddr>,
    pub(crate) ecn: Option<Ecn>,
    pub(crate) contents: Vec<u8>,
}

/// Bytes that are told apart from those of another `number`.
pub(crate) fn contents(number: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (number.wrapping_mul(31) + at * 7 + at / 251) as u8).collect()
}

pub(crate) fn transmit(destination: SocketAddr, contents: &[u8]) -> Transmit<'_> {
    Transmit { destination, source: None, ecn: None, contents, segment_size: None }
}

/// Sends, and says that nothing failed.
pub(crate) async fn send(wire: &Wire, outbox: &mut Outbox) {
    within(wire.send(outbox)).await.expect("the wire works");
    assert!(outbox.is_empty());
    let failures: Vec<_> = outbox.failures().collect();
    assert!(failures.is_empty(), "{failures:?}");
}

/// Receives `count` datagrams, and nothing beyond what is with the last.
pub(crate) async fn receive(wire: &Wire, inbox: &mut Inbox, count: usize) -> Vec<Datagram> {
    let mut datagrams = Vec::new();
    while datagrams.len() < count {
        within(wire.recv(inbox)).await.expect("the wire works");
        for received in inbox.received() {
            let (remote, local, ecn) = (received.remote, received.local, received.ecn);
            datagrams.extend(received.datagrams().map(|contents| Datagram {
                remote,
                local,
                ecn,
                contents: contents.to_vec(),
            }));
        }
    }
    assert_eq!(datagrams.len(), count, "more came than was sent");
    datagrams
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("a datagram was lost")
}

/// Everything that holds for every wire.
pub(crate) async fn all(pair: &Pair) {
    every_size(pair).await;
    batches(pair).await;
    segments(pair).await;
    marks(pair).await;
    chosen_source(pair).await;
    too_large(pair).await;
    nothing_is_lost(pair).await;
    counted(pair);
}

/// Datagrams of all sizes go there and back, with their addresses.
pub(crate) async fn every_size(pair: &Pair) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let small = 1..=pair.largest.min(1472);
    let large =
        [4000, 9000, 20_000, 40_000, 65_000, pair.largest].into_iter().filter(|size| *size <= pair.largest);
    for size in small.chain(large) {
        let sent = contents(size, size);
        for (from, to, destination, source) in
            [(&pair.a, &pair.b, pair.to_b, pair.to_a), (&pair.b, &pair.a, pair.to_a, pair.to_b)]
        {
            outbox.push(&transmit(destination, &sent));
            send(from, &mut outbox).await;
            let datagram = receive(to, &mut inbox, 1).await.remove(0);
            assert_eq!(datagram.contents, sent, "{size} bytes");
            assert_eq!(datagram.remote, source, "{size} bytes");
            assert_eq!(datagram.local, Some(destination.ip()), "{size} bytes");
            assert_eq!(datagram.ecn, None, "{size} bytes");
        }
    }
}

/// A batch larger than what one call takes comes whole and in order.
pub(crate) async fn batches(pair: &Pair) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let sent: Vec<_> = (0..300).map(|number| contents(number, 1 + number * 3)).collect();
    sent.iter().for_each(|contents| outbox.push(&transmit(pair.to_b, contents)));
    assert_eq!(outbox.waiting_bytes(), sent.iter().map(Vec::len).sum::<usize>());
    send(&pair.a, &mut outbox).await;
    let came: Vec<_> = receive(&pair.b, &mut inbox, sent.len()).await;
    assert!(came.iter().map(|datagram| &datagram.contents).eq(&sent));
}

/// A transmit of many datagrams arrives as those datagrams, whether or not its last is short.
pub(crate) async fn segments(pair: &Pair) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let full = pair.largest.min(1472);
    for (size, count, last) in
        [(full, 10, full), (1200, 25, 700), (1200, 2, 1), (100, 200, 99), (600, 1, 600)]
    {
        let whole = contents(size, size * (count - 1) + last);
        outbox.push(&Transmit { segment_size: Some(size), ..transmit(pair.to_b, &whole) });
        send(&pair.a, &mut outbox).await;
        let came = receive(&pair.b, &mut inbox, count).await;
        assert!(
            came.iter().map(|datagram| &datagram.contents[..]).eq(whole.chunks(size)),
            "{count} of {size}"
        );
    }
    // A segment size beyond the contents is a single datagram.
    outbox.push(&Transmit { segment_size: Some(1200), ..transmit(pair.to_b, &[1; 100]) });
    send(&pair.a, &mut outbox).await;
    assert_eq!(receive(&pair.b, &mut inbox, 1).await[0].contents, [1; 100]);
}

/// Congestion marks arrive as they were sent, both ways, on single datagrams and on segments.
pub(crate) async fn marks(pair: &Pair) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    for ecn in [None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)] {
        for (from, to, destination) in [(&pair.a, &pair.b, pair.to_b), (&pair.b, &pair.a, pair.to_a)] {
            outbox.push(&Transmit { ecn, ..transmit(destination, &[7; 50]) });
            outbox.push(&Transmit { ecn, segment_size: Some(500), ..transmit(destination, &[8; 1500]) });
            send(from, &mut outbox).await;
            let came = receive(to, &mut inbox, 4).await;
            assert!(
                came.iter().all(|datagram| datagram.ecn == ecn),
                "{ecn:?} was sent, not {:?}",
                came.iter().map(|datagram| datagram.ecn).collect::<Vec<_>>()
            );
        }
    }
}

/// An answer leaves from the address that was written to.
pub(crate) async fn chosen_source(pair: &Pair) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    outbox.push(&Transmit { source: Some(pair.to_a.ip()), ..transmit(pair.to_b, b"from here") });
    send(&pair.a, &mut outbox).await;
    let came = receive(&pair.b, &mut inbox, 1).await.remove(0);
    assert_eq!(came.remote, pair.to_a);
    outbox.push(&Transmit { source: came.local, ..transmit(came.remote, b"back") });
    send(&pair.b, &mut outbox).await;
    assert_eq!(receive(&pair.a, &mut inbox, 1).await[0].remote, pair.to_b);
}

/// A datagram that the path does not take is reported, and those around it go.
pub(crate) async fn too_large(pair: &Pair) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let before = pair.a.counts();
    let huge = vec![1; pair.largest + 1];
    outbox.push(&transmit(pair.to_b, b"before"));
    outbox.push(&transmit(pair.to_b, &huge));
    outbox.push(&transmit(pair.to_b, b"after"));
    within(pair.a.send(&mut outbox)).await.expect("the wire works");
    let failures: Vec<_> = outbox.failures().collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let failure = &failures[0];
    assert!(matches!(failure.error, SendError::TooBig), "{failure:?}");
    assert_eq!((failure.transmit, failure.datagrams), (1, 1));
    assert_eq!((failure.segment_size, failure.destination), (huge.len(), pair.to_b));
    assert_eq!(pair.a.counts().too_big - before.too_big, 1);
    let came = receive(&pair.b, &mut inbox, 2).await;
    assert_eq!(came[0].contents, b"before");
    assert_eq!(came[1].contents, b"after");
}

/// Many datagrams, more than any queue holds, arrive one by one in order when the receiver keeps up.
pub(crate) async fn nothing_is_lost(pair: &Pair) {
    const ROUNDS: usize = 100;
    const DATAGRAMS: usize = 200;
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    for round in 0..ROUNDS {
        let sent: Vec<u8> =
            (0..DATAGRAMS).flat_map(|number| contents(round * DATAGRAMS + number, 1200)).collect();
        for chunk in sent.chunks(1200 * 40) {
            outbox.push(&Transmit { segment_size: Some(1200), ..transmit(pair.to_b, chunk) });
        }
        send(&pair.a, &mut outbox).await;
        let came = receive(&pair.b, &mut inbox, DATAGRAMS).await;
        let came: Vec<u8> = came.into_iter().flat_map(|datagram| datagram.contents).collect();
        assert!(came == sent, "round {round}");
    }
}

/// After all of that, the counts of both agree, and nothing is missing.
fn counted(pair: &Pair) {
    let (a, b) = (pair.a.counts(), pair.b.counts());
    assert_eq!((a.sent, b.sent), (b.received, a.received), "{a:?} {b:?}");
    assert_eq!((a.overflowed, b.overflowed, a.refused, b.refused), (0, 0, 0, 0));
    assert_eq!((a.send_refused, b.send_refused, b.too_big), (0, 0, 0));
}
