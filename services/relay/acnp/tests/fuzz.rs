//! What the fuzz targets (`fuzz/`) do for hours with a fuzzer, here for a while without: the corpus as it is, then mutations of it that
//! follow from their number.
//!
//!     LOWLAND_ACNP_FUZZ=1000000 cargo test -p lowland-acnp --test fuzz      # so many mutations a target

use std::path::Path;

use lowland_acnp::proto::fuzz::{fuzz_frames, fuzz_handshake, fuzz_packet};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MUTATIONS_VARIABLE: &str = "LOWLAND_ACNP_FUZZ";
/// Bytes of an input at most.
const LEN_MAX: usize = 4096;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let files = std::fs::read_dir(&folder).expect("there is a corpus");
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Changes a few bytes, cuts, repeats, or joins with another.
fn mutate(rng: &mut ChaCha8Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[rng.random_range(0..corpus.len())].clone();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=data.len());
        match rng.random_range(0..6) {
            0 if at < data.len() => data[at] ^= 1 << rng.random_range(0..8),
            1 if at < data.len() => {
                data[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff][rng.random_range(0..9)];
            }
            2 => data.truncate(at),
            3 => data.insert(at, rng.random()),
            4 => {
                let tail = data[at..].to_vec();
                data.extend(tail);
            }
            _ => {
                let other = &corpus[rng.random_range(0..corpus.len())];
                data.truncate(at);
                data.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
        data.truncate(LEN_MAX);
    }
    data
}

fn run(name: &str, target: fn(&[u8]), mutations: u64) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|data| target(data));
    let count =
        std::env::var(MUTATIONS_VARIABLE).map_or(mutations, |text| text.parse().expect("it is a number"));
    for seed in 0..count {
        let data = mutate(&mut ChaCha8Rng::seed_from_u64(seed), &corpus);
        if std::panic::catch_unwind(|| target(&data)).is_err() {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("{name}, mutation {seed}: {hex}");
        }
    }
}

#[test]
fn packets() {
    run("packet", fuzz_packet, 3000);
}

#[test]
fn handshakes() {
    run("handshake", fuzz_handshake, 3000);
}

#[test]
fn frames() {
    run("frames", fuzz_frames, 100_000);
}
