//! What is sent in measurements: bytes that look random and tell where they belong, checked at the speed of a comparison.

use std::sync::LazyLock;

use bytes::Bytes;

/// Bytes after which the content repeats: a prime, so that no block of a power of two looks like another.
const PERIOD: usize = 65_521;
/// Bytes of the largest block that is taken at once.
pub(super) const BLOCK: usize = 64 * 1024;

static CONTENT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let period: Vec<u8> = (0..PERIOD)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    period.iter().cycle().take(PERIOD + BLOCK).copied().collect::<Vec<_>>().into()
});

/// `len` bytes, at most [`BLOCK`], of the content from `offset` on.
pub(super) fn block(offset: u64, len: usize) -> Bytes {
    let from = (offset % PERIOD as u64) as usize;
    CONTENT.slice(from..from + len.min(BLOCK))
}

/// Checks content that comes in pieces.
#[derive(Debug)]
pub(super) struct Check {
    offset: u64,
    ok: bool,
}

impl Check {
    /// The content is to begin at `offset`.
    pub(super) const fn from(offset: u64) -> Self {
        Self { offset, ok: true }
    }

    pub(super) fn take(&mut self, data: &[u8]) {
        for piece in data.chunks(BLOCK) {
            self.ok &= block(self.offset, piece.len()) == piece;
            self.offset += piece.len() as u64;
        }
    }

    pub(super) const fn is_ok(&self) -> bool {
        self.ok
    }
}
