//! What is sent: bytes that follow from a seed, cheap to make and cheap to check, so that a byte out of place is seen.

/// Bytes made and checked at a time.
const WORD: u64 = 8;

/// The byte stream of a seed.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    seed: u64,
    at: u64,
}

/// Word `index` of a seed's stream, by the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
fn word(seed: u64, index: u64) -> [u8; WORD as usize] {
    let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

impl Content {
    /// The stream of `seed`, from its beginning.
    pub fn of(seed: u64) -> Self {
        Self { seed, at: 0 }
    }

    /// Writes the next bytes.
    pub fn fill(&mut self, mut to: &mut [u8]) {
        while !to.is_empty() {
            let from = self.part(to.len());
            let (now, rest) = to.split_at_mut(from.1);
            now.copy_from_slice(&from.0[from.2..from.2 + from.1]);
            to = rest;
        }
    }

    /// Whether these are the next bytes.
    pub fn check(&mut self, mut bytes: &[u8]) -> bool {
        let mut right = true;
        while !bytes.is_empty() {
            let from = self.part(bytes.len());
            let (now, rest) = bytes.split_at(from.1);
            right &= now == &from.0[from.2..from.2 + from.1];
            bytes = rest;
        }
        right
    }

    /// The word that the stream stands in, how many of its bytes are used now, and from which on.
    fn part(&mut self, wanted: usize) -> ([u8; WORD as usize], usize, usize) {
        let skip = (self.at % WORD) as usize;
        let length = wanted.min(WORD as usize - skip);
        let word = word(self.seed, self.at / WORD);
        self.at += length as u64;
        (word, length, skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let mut whole = vec![0; 1000];
        Content::of(5).fill(&mut whole);
        let mut cut = vec![0; 1000];
        let mut content = Content::of(5);
        for piece in cut.chunks_mut(13) {
            content.fill(piece);
        }
        assert_eq!(whole, cut);
        let mut check = Content::of(5);
        assert!(whole.chunks(7).all(|piece| check.check(piece)));
    }

    #[test]
    fn a_byte_out_of_place_is_seen() {
        let mut bytes = vec![0; 100];
        Content::of(5).fill(&mut bytes);
        assert!(!Content::of(6).check(&bytes));
        bytes[57] ^= 1;
        assert!(!Content::of(5).check(&bytes));
        bytes[57] ^= 1;
        bytes.swap(3, 4);
        assert!(!Content::of(5).check(&bytes));
    }
}
