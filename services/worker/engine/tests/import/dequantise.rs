//! Every encoding against rows that the package `gguf` decoded.

use lowland_engine::import::tensor::{Tensor, TensorType};

use super::golden::Golden;

const KINDS: [TensorType; 13] = {
    use TensorType::*;
    [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K]
};

#[test]
fn every_encoding_decodes_as_recorded() {
    let golden = Golden::open("dequantise.safetensors");
    for kind in KINDS {
        let (bytes, expected) =
            (golden.bytes(&format!("{kind:?}.bytes")), golden.floats(&format!("{kind:?}.numbers")));
        let mut decoded = vec![f32::NAN; expected.len()];
        Tensor::new(kind, 1, expected.len(), &bytes).read_row(0, &mut decoded);
        for (i, (got, want)) in decoded.iter().zip(&expected).enumerate() {
            assert!((got - want).abs() <= want.abs() * 1e-6, "{kind:?}, number {i}: {got} instead of {want}");
        }
    }
}

#[test]
fn grids_hold_the_numbers_that_they_describe() {
    let golden = Golden::open("dequantise.safetensors");
    let mut described = 0;
    for kind in KINDS {
        let (bytes, numbers) =
            (golden.bytes(&format!("{kind:?}.bytes")), golden.floats(&format!("{kind:?}.numbers")));
        let Some(grids) = Tensor::new(kind, 1, numbers.len(), &bytes).grids(0) else { continue };
        assert_eq!(grids.len(), numbers.len() / 32);
        described += 1;
        for (i, number) in numbers.iter().enumerate() {
            let grid = grids[i / 32];
            let level = (number - grid.minimum) / grid.step;
            assert!((level - level.round()).abs() < 0.01, "{kind:?}, number {i}: {number} is off {grid:?}");
            assert!(
                (0.0..=f32::from(grid.levels)).contains(&level.round()),
                "{kind:?}, number {i}: {number} is outside {grid:?}"
            );
        }
    }
    assert_eq!(described, 7);
}
