//! One TCP connection and one stream: what comes on one side goes out on the other, and each direction ends by itself.

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::{
    endpoint::{RecvStream, SendStream},
    proto::stream::Priority,
};

/// Bytes that are read of TCP at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of free space below which a fresh block is taken.
const READ_BYTES_MIN: usize = 8 * 1024;
/// Bytes that are read of a stream at once.
const CHUNK: usize = 64 * 1024;
/// The code of a stream whose TCP connection has broken, or could not be made.
pub(super) const TCP_BROKEN: u64 = 1;

/// What has passed, bytes: from TCP, and to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// Carries everything until both directions have ended.
pub(super) async fn relay(
    tcp: TcpStream,
    (send, recv): (SendStream, RecvStream),
    urgent: Option<Urgency>,
) -> Passed {
    let _ = tcp.set_nodelay(true);
    let (from, to) = tcp.into_split();
    let (sent, received) = tokio::join!(outward(from, send, urgent), inward(recv, to));
    Passed { sent, received }
}

/// Until which amount a flow is taken for calls, which go before bulk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Urgency {
    /// Bytes without a pause after which a flow is bulk.
    pub(super) bytes: u64,
    /// What a pause is.
    pub(super) pause: std::time::Duration,
}

/// From TCP to the stream.
async fn outward(mut from: OwnedReadHalf, mut send: SendStream, urgent: Option<Urgency>) -> u64 {
    let mut flow = urgent.map(Flow::new);
    let (mut buffer, mut sent) = (BytesMut::new(), 0);
    if flow.is_some() {
        send.set_priority(Priority::Urgent);
    }
    loop {
        if buffer.capacity() - buffer.len() < READ_BYTES_MIN {
            buffer.reserve(READ_BYTES);
        }
        let read = tokio::select! {
            read = from.read_buf(&mut buffer) => read,
            stopped = send.stopped() => {
                tracing::debug!(?stopped, "the other side takes no more");
                return sent;
            }
        };
        match read {
            Ok(0) => {
                let _ = send.finish();
                return sent;
            }
            Ok(len) => {
                sent += len as u64;
                if let Some(priority) = flow.as_mut().and_then(|flow| flow.on_read(len)) {
                    send.set_priority(priority);
                }
                if send.write_chunks(buffer.split().freeze()).await.is_err() {
                    return sent;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a TCP connection broke");
                let _ = send.reset(TCP_BROKEN);
                return sent;
            }
        }
    }
}

/// From the stream to TCP.
async fn inward(mut recv: RecvStream, mut to: OwnedWriteHalf) -> u64 {
    let mut received = 0;
    loop {
        match recv.read_chunk(CHUNK).await {
            Ok(Some(data)) => {
                received += data.len() as u64;
                if to.write_all(&data).await.is_err() {
                    let _ = recv.stop(TCP_BROKEN);
                    return received;
                }
            }
            Ok(None) => {
                let _ = to.shutdown().await;
                return received;
            }
            Err(error) => {
                tracing::debug!(%error, "a stream broke");
                abort(to);
                return received;
            }
        }
    }
}

/// Breaks the TCP connection, so that nobody takes what came for all there was.
fn abort(to: OwnedWriteHalf) {
    let socket = socket2::SockRef::from(to.as_ref());
    let _ = socket.set_linger(Some(std::time::Duration::ZERO));
}

/// What a flow has done lately, to tell calls from bulk.
struct Flow {
    urgency: Urgency,
    since_pause: u64,
    last: tokio::time::Instant,
    bulk: bool,
}

impl Flow {
    fn new(urgency: Urgency) -> Self {
        Self { urgency, since_pause: 0, last: tokio::time::Instant::now(), bulk: false }
    }

    /// Data came; gives the flow's priority if it changes.
    fn on_read(&mut self, len: usize) -> Option<Priority> {
        let now = tokio::time::Instant::now();
        if now - self.last >= self.urgency.pause {
            self.since_pause = 0;
        }
        (self.last, self.since_pause) = (now, self.since_pause + len as u64);
        let bulk = self.since_pause > self.urgency.bytes;
        let changed = bulk != self.bulk;
        self.bulk = bulk;
        changed.then_some(if bulk { Priority::default() } else { Priority::Urgent })
    }
}
