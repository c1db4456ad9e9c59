//! Tensor encodings: sizes, and the blocks of 32 numbers. (Blocks of 256 are in `kquant`.)
//!
//! A quantised row is a run of blocks; each holds a scale (and sometimes a minimum) in half precision and small integers.

use half::{bf16, f16};

use super::kquant;

/// Numbers in a block of the simple encodings.
const BLOCK: usize = 32;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the format's own")]
#[allow(non_camel_case_types, reason = "the names are the format's own")]
pub enum TensorType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

use TensorType::{BF16, F16, F32, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};

/// Encodings that exist and aren't read here, so that an error can name them.
const OTHERS: [(u32, &str); 17] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (26, "I32"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl TensorType {
    /// The encoding with the format's number `id`; otherwise what to call it in an error.
    pub(crate) fn from_id(id: u32) -> Result<TensorType, String> {
        Ok(match id {
            0 => F32,
            1 => F16,
            2 => Q4_0,
            3 => Q4_1,
            6 => Q5_0,
            7 => Q5_1,
            8 => Q8_0,
            10 => Q2_K,
            11 => Q3_K,
            12 => Q4_K,
            13 => Q5_K,
            14 => Q6_K,
            30 => BF16,
            _ => {
                let known = OTHERS.iter().find(|(number, _)| *number == id);
                return Err(
                    known.map_or_else(|| id.to_string(), |(number, name)| format!("{number} ({name})"))
                );
            }
        })
    }

    /// Numbers in a block.
    pub fn block(self) -> usize {
        self.layout().0
    }

    /// Bytes that `elements` numbers take; `elements` is a multiple of [`TensorType::block`].
    pub fn bytes_for(self, elements: usize) -> usize {
        let (block, bytes) = self.layout();
        (elements / block).saturating_mul(bytes)
    }

    /// Numbers in a block, and the block's bytes.
    fn layout(self) -> (usize, usize) {
        match self {
            F32 => (1, 4),
            F16 | BF16 => (1, 2),
            Q4_0 => (BLOCK, 18),
            Q4_1 => (BLOCK, 20),
            Q5_0 => (BLOCK, 22),
            Q5_1 => (BLOCK, 24),
            Q8_0 => (BLOCK, 34),
            Q2_K => (kquant::BLOCK, 84),
            Q3_K => (kquant::BLOCK, 110),
            Q4_K => (kquant::BLOCK, 144),
            Q5_K => (kquant::BLOCK, 176),
            Q6_K => (kquant::BLOCK, 210),
        }
    }

    /// Decodes whole blocks into `out`.
    pub(super) fn dequantise(self, bytes: &[u8], out: &mut [f32]) {
        let decode: fn(&[u8], &mut [f32]) = match self {
            F32 => |b, out| out[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            F16 => |b, out| out[0] = half_at(b, 0),
            BF16 => |b, out| out[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32(),
            Q4_0 => q4_0,
            Q4_1 => q4_1,
            Q5_0 => q5_0,
            Q5_1 => q5_1,
            Q8_0 => q8_0,
            Q2_K => kquant::q2_k,
            Q3_K => kquant::q3_k,
            Q4_K => kquant::q4_k,
            Q5_K => kquant::q5_k,
            Q6_K => kquant::q6_k,
        };
        let (block, length) = self.layout();
        for (bytes, out) in bytes.chunks_exact(length).zip(out.chunks_exact_mut(block)) {
            decode(bytes, out);
        }
    }

    /// The grid of each run of 32 numbers, for the encodings that put all 32 on one.
    pub(super) fn grids(self, bytes: &[u8]) -> Option<Vec<Grid>> {
        let of: fn(&[u8], &mut Vec<Grid>) = match self {
            Q4_0 => |b, grids| grids.push(Grid::around_zero(half_at(b, 0), 8)),
            Q5_0 => |b, grids| grids.push(Grid::around_zero(half_at(b, 0), 16)),
            Q8_0 => |b, grids| grids.push(Grid::around_zero(half_at(b, 0), 128)),
            Q4_1 => |b, grids| grids.push(Grid { step: half_at(b, 0), minimum: half_at(b, 2), levels: 15 }),
            Q5_1 => |b, grids| grids.push(Grid { step: half_at(b, 0), minimum: half_at(b, 2), levels: 31 }),
            Q4_K => |b, grids| kquant::grids(b, 15, grids),
            Q5_K => |b, grids| kquant::grids(b, 31, grids),
            F32 | F16 | BF16 | Q2_K | Q3_K | Q6_K => return None,
        };
        let mut grids = Vec::with_capacity(bytes.len() / BLOCK);
        bytes.chunks_exact(self.layout().1).for_each(|block| of(block, &mut grids));
        Some(grids)
    }
}

/// Where 32 numbers can lie: at `minimum + i * step`, `i` from 0 to `levels`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Distance between neighbours; may be zero or, in a damaged file, anything.
    pub step: f32,
    /// The lowest.
    pub minimum: f32,
    /// How many steps above the lowest the highest is.
    pub levels: u8,
}

impl Grid {
    /// Signed codes of `half * 2` values, times a scale of either sign.
    fn around_zero(scale: f32, half: u8) -> Grid {
        let lowest = if scale < 0.0 { half - 1 } else { half };
        let step = scale.abs();
        Grid { step, minimum: -step * f32::from(lowest), levels: half - 1 + half }
    }
}

/// The half-precision number at byte `at`.
pub(super) fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

fn q4_0(b: &[u8], out: &mut [f32]) {
    let scale = half_at(b, 0);
    nibbles(&b[2..18], |i, low| out[i] = scale * (f32::from(low) - 8.0));
}

fn q4_1(b: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half_at(b, 0), half_at(b, 2));
    nibbles(&b[4..20], |i, low| out[i] = scale * f32::from(low) + minimum);
}

fn q5_0(b: &[u8], out: &mut [f32]) {
    let scale = half_at(b, 0);
    let high = u32::from_le_bytes([b[2], b[3], b[4], b[5]]);
    nibbles(&b[6..22], |i, low| out[i] = scale * (f32::from(low | fifth_bit(high, i)) - 16.0));
}

fn q5_1(b: &[u8], out: &mut [f32]) {
    let (scale, minimum) = (half_at(b, 0), half_at(b, 2));
    let high = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
    nibbles(&b[8..24], |i, low| out[i] = scale * f32::from(low | fifth_bit(high, i)) + minimum);
}

fn q8_0(b: &[u8], out: &mut [f32]) {
    let scale = half_at(b, 0);
    for (out, &code) in out.iter_mut().zip(&b[2..34]) {
        *out = scale * f32::from(code.cast_signed());
    }
}

/// Calls `put(i, code)` for each of the 32 nibbles: the first sixteen numbers are the low halves, the rest the high.
fn nibbles(bytes: &[u8], mut put: impl FnMut(usize, u8)) {
    for (i, &byte) in bytes.iter().enumerate() {
        put(i, byte & 0xF);
        put(i + 16, byte >> 4);
    }
}

/// Bit `i` of `high` in the place of a code's fifth bit.
fn fifth_bit(high: u32, i: usize) -> u8 {
    (((high >> i) & 1) << 4) as u8
}
