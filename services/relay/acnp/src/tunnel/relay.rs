//! One TCP connection and one stream: what comes on one side goes out on the other, and each direction ends by itself.

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{flow::Flow, mode::Balance};
use crate::endpoint::{RecvStream, SendStream};

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
    balance: Balance,
) -> Passed {
    let _ = tcp.set_nodelay(true);
    let (from, to) = tcp.into_split();
    let (sent, received) = tokio::join!(outward(from, send, balance), inward(recv, to));
    Passed { sent, received }
}

/// From TCP to the stream.
async fn outward(mut from: OwnedReadHalf, mut send: SendStream, balance: Balance) -> u64 {
    let mut flow = Flow::new(balance, &send);
    let (mut buffer, mut sent) = (BytesMut::new(), 0);
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
                flow.on_read(len, &send);
                if send.write_chunks(buffer.split().freeze()).await.is_err() {
                    return sent;
                }
                flow.on_written();
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
    // Its end is not to be told as that of a whole stream.
    to.forget();
}
