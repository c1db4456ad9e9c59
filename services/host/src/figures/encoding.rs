//! Histograms as event data: HdrHistogram's V2 encoding, deflated. It is what HdrHistogram's libraries of every language
//! read (Java, C, Go, JavaScript; Python's `HdrHistogram.decode` takes it in base64), cell by cell, so nothing is lost.

use hdrhistogram::{
    Histogram as Cells,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};

/// Bytes that are no histogram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a histogram in HdrHistogram's V2 encoding: {0}")]
pub struct NoHistogram(String);

/// The cells as event data.
#[must_use]
pub fn encode(cells: &Cells<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(cells, &mut bytes)
        .expect("writing to memory succeeds, and no count comes near 2^63");
    bytes
}

/// The cells that event data stand for, deflated or not.
pub fn decode(mut bytes: &[u8]) -> Result<Cells<u64>, NoHistogram> {
    Deserializer::new().deserialize(&mut bytes).map_err(|error| NoHistogram(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_again_cell_by_cell() {
        let mut cells = Cells::new_with_bounds(1, 86_400_000_000, 3).unwrap();
        assert_eq!(decode(&encode(&cells)).unwrap(), cells);
        for value in [0, 1, 2047, 2048, 123_456, 86_400_000_000] {
            cells.record_n(value, value % 5 + 1).unwrap();
        }
        assert_eq!(decode(&encode(&cells)).unwrap(), cells);
    }

    #[test]
    fn it_is_the_deflated_form_whatever_else_is_read() {
        let cells = Cells::<u64>::new_with_bounds(1, 1000, 3).unwrap();
        assert_eq!(encode(&cells)[..4], [0x1c, 0x84, 0x93, 0x14]);
        let mut plain = Vec::new();
        hdrhistogram::serialization::V2Serializer::new().serialize(&cells, &mut plain).unwrap();
        assert_eq!(plain[..4], [0x1c, 0x84, 0x93, 0x13]);
        assert_eq!(decode(&plain).unwrap(), cells);
    }

    #[test]
    fn noise_is_refused() {
        for noise in
            [&b""[..], b"\x1c\x84\x93\x13\0", b"\x1c\x84\x93\x14\0\0\0\x04abcd", b"nothing of the kind"]
        {
            assert!(decode(noise).is_err(), "{noise:?}");
        }
    }
}
