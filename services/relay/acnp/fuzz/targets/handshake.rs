//! `cargo +nightly fuzz run handshake ../tests/corpus/handshake`, in the folder above.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowland_acnp::proto::fuzz::fuzz_handshake(data));
