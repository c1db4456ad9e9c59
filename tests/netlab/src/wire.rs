//! What client and server of a job say to each other, over any stream: a request that says how long it is and how long an
//! answer it wants, and that answer. Sizes include the few bytes of these headers.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::content::Content;

/// Bytes of a request before its content: length, length of the answer, seed.
pub const REQUEST_BYTES_MIN: u32 = 24;

/// The longest request, in bytes.
pub const REQUEST_BYTES_MAX: u32 = 16 << 20;

/// Bytes read or written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// First word of a request.
const MAGIC: u32 = 0x6c6f_776c;

/// First byte of an answer: whether the request's content was right.
const RIGHT: u8 = 1;
const WRONG: u8 = 0;

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Bytes of the request.
    pub request: u32,
    /// Bytes of the answer, at least one.
    pub response: u64,
    /// What the content follows from.
    pub seed: u64,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// When its first byte arrived.
    pub first: Instant,
    /// When its last did.
    pub last: Instant,
    /// Whether both contents were right.
    pub content_ok: bool,
}

/// How far an answer has come, seen from outside.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    bad: AtomicU64,
    samples: Mutex<Vec<(Instant, u64)>>,
}

impl Progress {
    /// Least time between two samples.
    const SAMPLE_MS: u128 = 10;

    fn add(&self, bytes: usize, right: bool) {
        let total = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        self.bad.fetch_add(u64::from(!right), Ordering::Relaxed);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if samples.last().is_none_or(|(at, _)| (now - *at).as_millis() >= Self::SAMPLE_MS) {
            samples.push((now, total));
        }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether all of them were right.
    pub fn content_ok(&self) -> bool {
        self.bad.load(Ordering::Relaxed) == 0
    }

    /// When how many bytes were there.
    pub fn samples(&self) -> Vec<(Instant, u64)> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sends a request.
///
/// # Errors
/// The transport's.
pub async fn write_request(to: &mut (impl AsyncWrite + Unpin), ask: Ask) -> io::Result<()> {
    let mut bytes = vec![0; ask.request.max(REQUEST_BYTES_MIN) as usize];
    bytes[..4].copy_from_slice(&MAGIC.to_be_bytes());
    bytes[4..8].copy_from_slice(&ask.request.max(REQUEST_BYTES_MIN).to_be_bytes());
    bytes[8..16].copy_from_slice(&ask.response.to_be_bytes());
    bytes[16..24].copy_from_slice(&ask.seed.to_be_bytes());
    Content::of(ask.seed).fill(&mut bytes[REQUEST_BYTES_MIN as usize..]);
    to.write_all(&bytes).await?;
    to.flush().await
}

/// Receives an answer to `ask`.
///
/// # Errors
/// The transport's, or its end before the answer's.
pub async fn read_answer(
    from: &mut (impl AsyncRead + Unpin),
    ask: Ask,
    progress: Option<&Progress>,
) -> io::Result<Answer> {
    let verdict = from.read_u8().await?;
    let first = Instant::now();
    let mut content = Content::of(!ask.seed);
    let (mut left, mut content_ok) = (ask.response.saturating_sub(1), verdict == RIGHT);
    let mut chunk = vec![0; CHUNK_BYTES.min(left as usize)];
    while left > 0 {
        let room = chunk.len().min(left as usize);
        let length = from.read(&mut chunk[..room]).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let right = content.check(&chunk[..length]);
        content_ok &= right;
        left -= length as u64;
        if let Some(progress) = progress {
            progress.add(length, right);
        }
    }
    Ok(Answer { first, last: Instant::now(), content_ok })
}

/// Answers one request; false at the end of the stream.
///
/// # Errors
/// The transport's, or bytes that are no request.
pub async fn serve_one<R, W>(from: &mut R, to: &mut W) -> io::Result<bool>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut header = [0; REQUEST_BYTES_MIN as usize];
    match from.read_exact(&mut header).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    };
    let ask = parse(&header).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a request"))?;
    let mut body = vec![0; (ask.request - REQUEST_BYTES_MIN) as usize];
    from.read_exact(&mut body).await?;
    let right = Content::of(ask.seed).check(&body);
    write_answer(to, ask, right).await?;
    Ok(true)
}

fn parse(header: &[u8; REQUEST_BYTES_MIN as usize]) -> Option<Ask> {
    let four = |at: usize| header[at..at + 4].try_into().map(u32::from_be_bytes).ok();
    let eight = |at: usize| header[at..at + 8].try_into().map(u64::from_be_bytes).ok();
    let ask = Ask { request: four(4)?, response: eight(8)?, seed: eight(16)? };
    let known = four(0)? == MAGIC && (REQUEST_BYTES_MIN..=REQUEST_BYTES_MAX).contains(&ask.request);
    (known && ask.response > 0).then_some(ask)
}

async fn write_answer(to: &mut (impl AsyncWrite + Unpin), ask: Ask, right: bool) -> io::Result<()> {
    let mut content = Content::of(!ask.seed);
    let mut chunk = vec![0; CHUNK_BYTES.min(ask.response as usize)];
    let mut left = ask.response;
    // The verdict goes with the first chunk: a small answer is one write.
    let mut head = 1;
    while left > 0 {
        let length = chunk.len().min(left as usize);
        chunk[0] = if right { RIGHT } else { WRONG };
        content.fill(&mut chunk[head..length]);
        to.write_all(&chunk[..length]).await?;
        left -= length as u64;
        head = 0;
    }
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask { request: 1024, response: 200_000, seed: 77 };

    async fn exchange(turn: Option<usize>) -> (bool, u64) {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        let (mut read, mut write) = tokio::io::split(far);
        let mut request = Vec::new();
        write_request(&mut request, ASK).await.expect("memory takes it");
        if let Some(at) = turn {
            request[at] ^= 4;
        }
        near.write_all(&request).await.expect("the pipe takes it");
        assert!(serve_one(&mut read, &mut write).await.expect("a request"));
        let progress = Progress::default();
        let answer = read_answer(&mut near, ASK, Some(&progress)).await.expect("an answer");
        (answer.content_ok, progress.bytes())
    }

    #[tokio::test]
    async fn an_answer_has_its_length_and_content() {
        assert_eq!(exchange(None).await, (true, ASK.response - 1));
    }

    #[tokio::test]
    async fn a_request_with_a_bit_turned_is_told() {
        assert!(!exchange(Some(500)).await.0);
    }

    #[test]
    fn noise_is_no_request() {
        assert!(parse(&[0; 24]).is_none());
        let mut header = [0xff; 24];
        header[..4].copy_from_slice(&MAGIC.to_be_bytes());
        assert!(parse(&header).is_none());
    }
}
