//! 8-bit weights as ONNX Runtime's `MatMulNBits` reads them: blocks of 32 along a row, value = scale * (code - zero point).
//!
//! Sources that are quantised already put 32 numbers on a grid, usually of 16 or 32 levels. 256 codes can hold such a grid
//! almost without loss: a scale that is a whole fraction of the grid's step, chosen so that the grid's minimum comes closest
//! to a whole number of scales. (Quantising the values as if they were any floats loses several times as much.)

use super::tensor::Grid;

/// Numbers that share a scale.
pub(crate) const BLOCK: usize = 32;
/// The zero point of blocks that aren't on a grid, and `MatMulNBits`' own when it is given none.
pub(crate) const ZERO_POINT: u8 = 128;

/// Quantised rows: a code for each number, a scale and a zero point for each block.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Blocks {
    pub(crate) codes: Vec<u8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) zero_points: Vec<u8>,
}

impl Blocks {
    /// Quantises one row, a multiple of [`BLOCK`] long, and appends it. `grids` has one for each block when the source
    /// has any.
    pub(crate) fn push_row(&mut self, row: &[f32], grids: Option<&[Grid]>) {
        for (index, block) in row.chunks_exact(BLOCK).enumerate() {
            let fitted = grids.and_then(|grids| fit(grids[index]));
            let (scale, zero_point) = fitted.unwrap_or_else(|| symmetric(block));
            self.codes.extend(block.iter().map(|&value| code(value, scale, zero_point)));
            self.scales.push(scale);
            self.zero_points.push(zero_point);
        }
    }
}

/// The scale and zero point that hold a grid best; none when no whole fraction of its step fits into 256 codes.
fn fit(grid: Grid) -> Option<(f32, u8)> {
    let usable = grid.step > 0.0 && grid.step.is_finite() && grid.minimum.is_finite();
    let parts_max = if usable { u8::MAX / grid.levels } else { 0 };
    let candidate = |parts: u8| {
        let scale = grid.step / f32::from(parts);
        let below = -grid.minimum / scale;
        let top = f32::from(parts) * f32::from(grid.levels) - below.min(0.0).round();
        let fits = scale.is_normal() && below.round() <= 255.0 && top <= 255.0;
        let error = (below - below.round()).abs() * scale;
        fits.then_some((error, scale, below.round().max(0.0) as u8))
    };
    let best = (1..=parts_max).filter_map(candidate).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, scale, zero_point)| (scale, zero_point))
}

/// Scale and zero point for any floats: the widest gets the last code.
fn symmetric(block: &[f32]) -> (f32, u8) {
    let widest = block.iter().fold(0.0f32, |widest, value| widest.max(value.abs()));
    let scale = widest / 127.0;
    (if scale.is_normal() { scale } else { 1.0 }, ZERO_POINT)
}

fn code(value: f32, scale: f32, zero_point: u8) -> u8 {
    // The cast saturates, so a value that rounds past either end keeps the nearest code.
    ((value / scale).round_ties_even() + f32::from(zero_point)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantised(row: &[f32], grids: Option<&[Grid]>) -> (Blocks, Vec<f32>) {
        let mut blocks = Blocks::default();
        blocks.push_row(row, grids);
        let one = |(i, &code): (usize, &u8)| {
            (f32::from(code) - f32::from(blocks.zero_points[i / BLOCK])) * blocks.scales[i / BLOCK]
        };
        let decoded = blocks.codes.iter().enumerate().map(one).collect();
        (blocks, decoded)
    }

    fn on(grid: Grid) -> Vec<f32> {
        let level = |i: u16| grid.minimum + f32::from(i % (u16::from(grid.levels) + 1)) * grid.step;
        (0..BLOCK as u16).map(|i| level(i * 7)).collect()
    }

    #[test]
    fn any_floats_are_off_by_half_a_step_at_most() {
        let row: Vec<f32> = (0..96).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013).collect();
        let (blocks, decoded) = quantised(&row, None);
        for (i, (got, want)) in decoded.iter().zip(&row).enumerate() {
            assert!((got - want).abs() <= blocks.scales[i / BLOCK] * 0.5001, "{got} {want}");
        }
        assert_eq!(blocks.zero_points, [ZERO_POINT; 3]);
    }

    #[test]
    fn whole_multiples_of_a_step_survive() {
        let grid = Grid { step: 0.0123, minimum: -128.0 * 0.0123, levels: 255 };
        let row: Vec<f32> = (0..32).map(|i| (i as f32 - 15.0) * grid.step).collect();
        let (blocks, decoded) = quantised(&row, Some(&[grid]));
        assert_eq!((decoded, blocks.zero_points), (row, vec![128]));
    }

    #[test]
    fn a_block_of_zeros_stays_zero() {
        let (blocks, decoded) = quantised(&[0.0; 32], Some(&[Grid { step: 0.0, minimum: 0.0, levels: 15 }]));
        assert_eq!((decoded, blocks.scales), (vec![0.0; 32], vec![1.0]));
    }

    #[test]
    fn a_grid_above_zero_is_held_too() {
        let grid = Grid { step: 0.1, minimum: 0.7, levels: 15 };
        let (_, decoded) = quantised(&on(grid), Some(&[grid]));
        assert!(decoded.iter().zip(on(grid)).all(|(got, want)| (got - want).abs() < 1e-5), "{decoded:?}");
    }

    /// How far the worst number of a grid of 16 levels ends up, in units of the grid's own step.
    fn error(step: f32, below: f32, knows_grid: bool) -> f32 {
        let grid = Grid { step, minimum: -below * step, levels: 15 };
        let (_, decoded) = quantised(&on(grid), knows_grid.then_some(&[grid]));
        let off = decoded.iter().zip(on(grid)).map(|(got, want)| (got - want).abs());
        off.fold(0.0, f32::max) / step
    }

    #[test]
    fn grids_are_held_far_better_than_floats() {
        let mean =
            |knows_grid| (0..1500).map(|i| error(1.0, i as f32 / 100.0, knows_grid)).sum::<f32>() / 1500.0;
        let (as_grid, as_floats) = (mean(true), mean(false));
        assert!(as_grid * 5.0 < as_floats, "{as_grid} {as_floats}");
    }

    proptest! {
        /// 1/34 of a step is as far as any number is from a fraction with a denominator of 17 at most.
        #[test]
        fn a_grid_is_held_closely(step in 0.001f32..1.0, below in 0.0f32..15.0) {
            let off = error(step, below, true);
            prop_assert!(off <= 1.0 / 33.9, "{off}");
        }
    }
}
