//! `cargo +nightly fuzz run packet ../tests/corpus/packet`, in the folder above.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowland_acnp::proto::fuzz::fuzz_packet(data));
