//! Arithmetic in GF(256), and the one loop in which the code spends its time: `dst += c * src` over whole symbols.
//!
//! The field is that of RFC 8681 §3.5 (and RFC 5510): bytes as polynomials modulo x^8 + x^4 + x^3 + x^2 + 1. [`mul_add_scalar`] is the one to
//! read; the others do the same with wider registers and are held to it by a test. Below some 64 bytes nothing is gained by them.

/// The field's polynomial, x^8 + x^4 + x^3 + x^2 + 1.
const POLYNOMIAL: u16 = 0x11d;

/// Powers of the generator 2, twice over so that a sum of two logarithms needs no reduction; and logarithms to base 2.
const TABLES: ([u8; 510], [u8; 256]) = tables();

const fn tables() -> ([u8; 510], [u8; 256]) {
    let (mut exp, mut log) = ([0; 510], [0; 256]);
    let (mut x, mut i) = (1_u16, 0);
    while i < 255 {
        exp[i] = x as u8;
        exp[i + 255] = x as u8;
        log[x as usize] = i as u8;
        x <<= 1;
        if x > 0xff {
            x ^= POLYNOMIAL;
        }
        i += 1;
    }
    (exp, log)
}

/// The product of two elements.
#[must_use]
pub const fn mul(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    TABLES.0[TABLES.1[a as usize] as usize + TABLES.1[b as usize] as usize]
}

/// The inverse of an element; zero, which has none, gives zero.
#[must_use]
pub const fn inverse(a: u8) -> u8 {
    if a == 0 { 0 } else { TABLES.0[255 - TABLES.1[a as usize] as usize] }
}

/// `dst[i] += c * src[i]` over the length of the shorter, by the widest instructions that this processor has.
pub fn mul_add(dst: &mut [u8], src: &[u8], c: u8) {
    if c == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("gfni") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor was just asked for exactly these.
            return unsafe { x86::mul_add_gfni(dst, src, c) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just asked for exactly this.
            return unsafe { x86::mul_add_avx2(dst, src, c) };
        }
    }
    mul_add_scalar(dst, src, c);
}

/// What [`mul_add`] does, a byte at a time.
pub fn mul_add_scalar(dst: &mut [u8], src: &[u8], c: u8) {
    for (d, s) in dst.iter_mut().zip(src) {
        *d ^= mul(*s, c);
    }
}

/// `dst[i] *= c`.
pub fn scale(dst: &mut [u8], c: u8) {
    for d in dst {
        *d = mul(*d, c);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{mul, mul_add_scalar};
    use std::arch::x86_64::*;

    /// For each c its products with the sixteen low nibbles, then with the sixteen high ones: as multiplication is linear, a product is
    /// the sum of one from each, and `PSHUFB` looks up a register's worth at once (Plank, Greenan, Miller, FAST 2013).
    static NIBBLES: [[u8; 32]; 256] = {
        let (mut all, mut i) = ([[0; 32]; 256], 0);
        while i < 256 * 32 {
            let nibble = (i % 16) as u8;
            all[i / 32][i % 32] = mul((i / 32) as u8, if i % 32 < 16 { nibble } else { nibble << 4 });
            i += 1;
        }
        all
    };

    /// For each c multiplication by it as an 8 by 8 matrix over GF(2), in the order of `GF2P8AFFINEQB`: byte 7-i is the row of the
    /// product's bit i. (`GF2P8MULB` is of no use, its polynomial is AES's.)
    static MATRICES: [u64; 256] = {
        let (mut all, mut i) = ([0; 256], 0);
        while i < 256 * 64 {
            let (c, row, column) = (i / 64, i / 8 % 8, i % 8);
            let bit = mul(c as u8, 1 << column) >> row & 1;
            all[c] |= (bit as u64) << (8 * (7 - row) + column);
            i += 1;
        }
        all
    };

    /// 32 bytes a step by two shuffles.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn mul_add_avx2(dst: &mut [u8], src: &[u8], c: u8) {
        let table = NIBBLES[usize::from(c)].as_ptr();
        // SAFETY: the table holds the twice 16 bytes that are read, and unaligned reads are allowed.
        let (low, high) = unsafe { (_mm_loadu_si128(table.cast()), _mm_loadu_si128(table.add(16).cast())) };
        let (low, high) = (_mm256_broadcastsi128_si256(low), _mm256_broadcastsi128_si256(high));
        let mask = _mm256_set1_epi8(0x0f);
        let len = dst.len().min(src.len());
        let (mut dst, mut src) = (dst[..len].chunks_exact_mut(32), src[..len].chunks_exact(32));
        for (d, s) in dst.by_ref().zip(src.by_ref()) {
            // SAFETY: each chunk is 32 bytes, and unaligned reads and writes are allowed.
            unsafe {
                let x = _mm256_loadu_si256(s.as_ptr().cast());
                let a = _mm256_shuffle_epi8(low, _mm256_and_si256(x, mask));
                let b = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi64::<4>(x), mask));
                let sum = _mm256_xor_si256(_mm256_loadu_si256(d.as_ptr().cast()), _mm256_xor_si256(a, b));
                _mm256_storeu_si256(d.as_mut_ptr().cast(), sum);
            }
        }
        mul_add_scalar(dst.into_remainder(), src.remainder(), c);
    }

    /// 64 bytes a step by one affine instruction; the rest under a mask, so that no byte goes through the tables.
    ///
    /// # Safety
    /// The processor has GFNI, AVX-512F and AVX-512BW.
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    pub(super) unsafe fn mul_add_gfni(dst: &mut [u8], src: &[u8], c: u8) {
        let matrix = _mm512_set1_epi64(MATRICES[usize::from(c)].cast_signed());
        let len = dst.len().min(src.len());
        for (d, s) in dst[..len].chunks_mut(64).zip(src[..len].chunks(64)) {
            let mask = u64::MAX >> (64 - d.len());
            // SAFETY: both chunks are 1 to 64 bytes of the same length, and the mask keeps what lies beyond from being touched.
            unsafe {
                let product = _mm512_gf2p8affine_epi64_epi8::<0>(
                    _mm512_maskz_loadu_epi8(mask, s.as_ptr().cast()),
                    matrix,
                );
                let sum = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, d.as_ptr().cast()), product);
                _mm512_mask_storeu_epi8(d.as_mut_ptr().cast(), mask, sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Multiplication as it is defined: shift, add, reduce.
    fn by_definition(mut a: u8, mut b: u8) -> u8 {
        let mut sum = 0;
        while b != 0 {
            sum ^= a * (b & 1);
            a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { POLYNOMIAL as u8 };
            b >>= 1;
        }
        sum
    }

    #[test]
    fn tables_agree_with_the_definition() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(mul(a, b), by_definition(a, b), "{a} * {b}");
            }
            assert_eq!(mul(a, inverse(a)), u8::from(a != 0));
        }
    }

    proptest! {
        #[test]
        fn every_kernel_agrees_with_the_scalar_one(src in prop::collection::vec(any::<u8>(), 0..300), extra in 0_usize..70, c: u8, fill: u8) {
            let start = vec![fill; src.len() + extra];
            let mut expected = start.clone();
            mul_add_scalar(&mut expected, &src, c);
            let mut got = start.clone();
            mul_add(&mut got, &src, c);
            prop_assert_eq!(&got, &expected);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                let mut got = start.clone();
                // SAFETY: asked for above.
                unsafe { x86::mul_add_avx2(&mut got, &src, c) };
                prop_assert_eq!(&got, &expected);
            }
        }
    }
}
