//! The "K" encodings: superblocks of 256 numbers, whose sub-blocks have small integer scales of their own.
//!
//! Layouts as llama.cpp defines them (ggml-common.h, ggml-quants.c); tests hold them to vectors recorded from elsewhere.

use super::block::{Grid, half_at};

/// Numbers in a superblock.
pub(super) const BLOCK: usize = 256;

/// 2-bit codes; sixteen sub-blocks of 16, each with a 4-bit scale and a 4-bit minimum.
pub(super) fn q2_k(b: &[u8], out: &mut [f32]) {
    let (scales, codes) = (&b[..16], &b[16..80]);
    let (scale, minimum) = (half_at(b, 80), half_at(b, 82));
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let (d, m) = (scale * f32::from(scales[sub] & 0xF), minimum * f32::from(scales[sub] >> 4));
        let (shift, first) = two_bit_place(sub);
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * f32::from((codes[first + i] >> shift) & 3) - m;
        }
    }
}

/// 3-bit codes (two low bits, one high in a mask); sixteen sub-blocks of 16 with 6-bit signed scales.
pub(super) fn q3_k(b: &[u8], out: &mut [f32]) {
    let (high, codes, packed) = (&b[..32], &b[32..96], &b[96..108]);
    let scale = half_at(b, 108);
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let d = scale * (f32::from(q3_k_scale(packed, sub)) - 32.0);
        let (shift, first) = two_bit_place(sub);
        let mask = 1u8 << (sub / 2);
        for (i, out) in out.iter_mut().enumerate() {
            let low = (codes[first + i] >> shift) & 3;
            let offset = if high[16 * (sub % 2) + i] & mask == 0 { 4.0 } else { 0.0 };
            *out = d * (f32::from(low) - offset);
        }
    }
}

/// 4-bit codes; eight sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum.
pub(super) fn q4_k(b: &[u8], out: &mut [f32]) {
    let (scales, codes) = (&b[4..16], &b[16..144]);
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (d, m) = scale_and_minimum(b, scales, sub);
        for (out, &byte) in out.iter_mut().zip(&codes[32 * (sub / 2)..]) {
            *out = d * f32::from(nibble(byte, sub)) - m;
        }
    }
}

/// As [`q4_k`], with a fifth bit for each code.
pub(super) fn q5_k(b: &[u8], out: &mut [f32]) {
    let (scales, high, codes) = (&b[4..16], &b[16..48], &b[48..176]);
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (d, m) = scale_and_minimum(b, scales, sub);
        for (i, out) in out.iter_mut().enumerate() {
            let fifth = ((high[i] >> sub) & 1) << 4;
            *out = d * f32::from(nibble(codes[32 * (sub / 2) + i], sub) | fifth) - m;
        }
    }
}

/// The grids of [`q4_k`]'s and [`q5_k`]'s sub-blocks.
pub(super) fn grids(b: &[u8], levels: u8, grids: &mut Vec<Grid>) {
    grids.extend((0..8).map(|sub| {
        let (step, below) = scale_and_minimum(b, &b[4..16], sub);
        Grid { step, minimum: -below, levels }
    }));
}

/// 6-bit codes (four low bits, two high); sixteen sub-blocks of 16 with 8-bit signed scales.
pub(super) fn q6_k(b: &[u8], out: &mut [f32]) {
    let (low, high, scales) = (&b[..128], &b[128..192], &b[192..208]);
    let scale = half_at(b, 208);
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let d = scale * f32::from(scales[sub].cast_signed());
        let (half, quarter) = (sub / 8, sub % 8 / 2);
        for (i, out) in out.iter_mut().enumerate() {
            let at = 16 * (sub % 2) + i;
            let four = nibble(low[64 * half + 32 * (quarter % 2) + at], quarter / 2);
            let two = (high[32 * half + at] >> (2 * quarter)) & 3;
            *out = d * (f32::from(four | (two << 4)) - 32.0);
        }
    }
}

/// Where sub-block `sub` of 2-bit codes lies: its shift within a byte, and its first byte.
fn two_bit_place(sub: usize) -> (usize, usize) {
    (2 * (sub % 8 / 2), 32 * (sub / 8) + 16 * (sub % 2))
}

/// The low half of a byte for even `which`, the high half for odd.
fn nibble(byte: u8, which: usize) -> u8 {
    if which.is_multiple_of(2) { byte & 0xF } else { byte >> 4 }
}

/// Scale and minimum of sub-block `sub`: eight 6-bit pairs packed into twelve bytes.
fn scale_and_minimum(b: &[u8], packed: &[u8], sub: usize) -> (f32, f32) {
    let (scale, minimum) = if sub < 4 {
        (packed[sub] & 63, packed[sub + 4] & 63)
    } else {
        let top = (packed[sub - 4] >> 6, packed[sub] >> 6);
        ((packed[sub + 4] & 0xF) | (top.0 << 4), (packed[sub + 4] >> 4) | (top.1 << 4))
    };
    (half_at(b, 0) * f32::from(scale), half_at(b, 2) * f32::from(minimum))
}

/// The 6-bit scale of sub-block `sub`: sixteen of them in twelve bytes, four low bits first, then the top pairs.
fn q3_k_scale(packed: &[u8], sub: usize) -> u8 {
    let low = nibble(packed[sub % 8], sub / 8);
    let high = (packed[8 + sub % 4] >> (2 * (sub / 4))) & 3;
    low | (high << 4)
}
