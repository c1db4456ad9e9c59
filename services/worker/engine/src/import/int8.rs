//! 8-bit weights as ONNX Runtime's `MatMulNBits` reads them: blocks of 32 along a row, code = value / scale + 128.

/// Numbers that share a scale.
pub(crate) const BLOCK: usize = 32;
/// The code that means zero.
pub(crate) const ZERO_POINT: u8 = 128;

/// Quantises one row, a multiple of [`BLOCK`] long: appends a code for each number and a scale for each block.
///
/// `steps` gives each block's own step, when the source holds whole multiples of one; then the codes lose nothing.
pub(crate) fn quantise_row(
    row: &[f32],
    steps: Option<impl Iterator<Item = f32>>,
    codes: &mut Vec<u8>,
    scales: &mut Vec<f32>,
) {
    let mut steps = steps.map(Iterator::fuse);
    for block in row.chunks_exact(BLOCK) {
        let step = steps.as_mut().and_then(Iterator::next);
        let scale = step.map(f32::abs).filter(|&step| step > 0.0).unwrap_or_else(|| widest(block) / 127.0);
        let scale = if scale == 0.0 { 1.0 } else { scale };
        codes.extend(block.iter().map(|&value| code(value, scale)));
        scales.push(scale);
    }
}

fn widest(block: &[f32]) -> f32 {
    block.iter().fold(0.0, |widest, value| value.abs().max(widest))
}

fn code(value: f32, scale: f32) -> u8 {
    // The cast saturates, so a value that rounds past either end keeps the nearest code.
    ((value / scale).round_ties_even() + f32::from(ZERO_POINT)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(codes: &[u8], scales: &[f32]) -> Vec<f32> {
        let one = |(i, &code): (usize, &u8)| (f32::from(code) - 128.0) * scales[i / BLOCK];
        codes.iter().enumerate().map(one).collect()
    }

    #[test]
    fn error_is_at_most_half_a_step() {
        let row: Vec<f32> = (0..96).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013).collect();
        let (mut codes, mut scales) = (vec![], vec![]);
        quantise_row(&row, None::<std::iter::Empty<f32>>, &mut codes, &mut scales);
        for (i, (got, want)) in decode(&codes, &scales).iter().zip(&row).enumerate() {
            assert!((got - want).abs() <= scales[i / BLOCK] * 0.5001, "{got} {want}");
        }
        assert_eq!((codes.len(), scales.len()), (96, 3));
    }

    #[test]
    fn whole_multiples_of_a_known_step_survive_exactly() {
        let step = 0.0123;
        let row: Vec<f32> = (0..32).map(|i| (i as f32 - 15.0) * step).collect();
        let (mut codes, mut scales) = (vec![], vec![]);
        quantise_row(&row, Some(std::iter::once(step)), &mut codes, &mut scales);
        assert_eq!(decode(&codes, &scales), row);
    }

    #[test]
    fn a_block_of_zeros_stays_zero() {
        let (mut codes, mut scales) = (vec![], vec![]);
        quantise_row(&[0.0; 32], None::<std::iter::Empty<f32>>, &mut codes, &mut scales);
        assert_eq!((codes, scales), (vec![ZERO_POINT; 32], vec![1.0]));
    }
}
