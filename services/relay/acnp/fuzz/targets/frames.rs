//! `cargo +nightly fuzz run frames ../tests/corpus/frames`, in the folder above.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowland_acnp::proto::fuzz::fuzz_frames(data));
