//! The coder held to a dense solver that knows all equations at once, and to its bounds under hostile input.

use super::*;
use crate::proto::Time;
use bytes::Bytes;
use proptest::prelude::*;
use std::{collections::BTreeSet, time::Duration};

const AGE_MAX: Duration = Duration::from_secs(1);

/// The packets that the equations determine, by elimination over a full matrix.
fn solvable(lost: &BTreeSet<u64>, headers: &[Header]) -> BTreeSet<u64> {
    let unknowns: Vec<u64> = lost.iter().copied().collect();
    let mut rows: Vec<Vec<u8>> = Vec::new();
    for header in headers {
        let mut row = vec![0; unknowns.len()];
        for (pn, c) in header.terms() {
            if let Ok(at) = unknowns.binary_search(&pn) {
                row[at] = c;
            }
        }
        rows.push(row);
    }
    let mut rank = 0;
    for column in 0..unknowns.len() {
        let Some(pivot) = (rank..rows.len()).find(|row| rows[*row][column] != 0) else { continue };
        rows.swap(rank, pivot);
        let inverse = gf256::inverse(rows[rank][column]);
        gf256::scale(&mut rows[rank], inverse);
        let pivot = rows[rank].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(at, _)| *at != rank) {
            let c = row[column];
            gf256::mul_add_scalar(row, &pivot, c);
        }
        rank += 1;
    }
    let alone = |row: &&Vec<u8>| row.iter().filter(|c| **c != 0).count() == 1;
    rows.iter()
        .filter(alone)
        .filter_map(|row| row.iter().position(|c| *c != 0))
        .map(|at| unknowns[at])
        .collect()
}

/// Packet numbers rise by 1 or 2; each has its payload and whether it is lost.
fn flight() -> impl Strategy<Value = Vec<(u64, Bytes, bool)>> {
    let packet = (1_u64..3, prop::collection::vec(any::<u8>(), 0..40), prop::bool::weighted(0.25));
    prop::collection::vec(packet, 1..60).prop_map(|packets| {
        let place = |pn: &mut u64, (step, payload, lost): (u64, Vec<u8>, bool)| {
            *pn += step;
            Some((*pn, Bytes::from(payload), lost))
        };
        packets.into_iter().scan(0, place).collect()
    })
}

#[derive(Debug, Clone)]
enum Arrival {
    Source(u64, Bytes),
    Repair(Header, Vec<u8>),
}

proptest! {
    #[test]
    fn what_is_recovered_is_what_a_dense_solver_would(
        flight in flight(),
        windows in prop::collection::vec((0_u64..120, 1_u64..60, any::<bool>()), 0..30),
        order in any::<u64>(),
    ) {
        let mut encoder = Encoder::new(128, 1 << 20);
        flight.iter().for_each(|(pn, payload, _)| encoder.push(*pn, payload.clone()));
        let keep = |newest| if newest { Keep::Newest } else { Keep::Oldest };
        let repairs: Vec<(Header, Vec<u8>)> = windows.iter().enumerate()
            .filter_map(|(seed, (from, span, newest))| encoder.repair(seed as u16, *from..=from + span, keep(*newest))).collect();
        let mut arrivals: Vec<Arrival> = flight.iter().filter(|(.., lost)| !lost).map(|(pn, payload, _)| Arrival::Source(*pn, payload.clone()))
            .chain(repairs.iter().map(|(header, symbol)| Arrival::Repair(*header, symbol.clone()))).collect();
        // Any order: sorted by a hash of the place.
        let mut at = 0_u64;
        arrivals.sort_by_cached_key(|_| { at += 1; (at ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15) });

        let mut decoder = Decoder::new(256, 1 << 20, AGE_MAX);
        let recovered: Vec<Recovered> = arrivals.iter().flat_map(|arrival| match arrival {
            Arrival::Source(pn, payload) => decoder.source(Time::ZERO, *pn, payload.clone()),
            Arrival::Repair(header, symbol) => decoder.repair(Time::ZERO, header, symbol),
        }).collect();

        let lost: BTreeSet<u64> = flight.iter().filter(|(.., lost)| *lost).map(|(pn, ..)| *pn).collect();
        let arrived: BTreeSet<u64> = flight.iter().filter(|(.., lost)| !lost).map(|(pn, ..)| *pn).collect();
        for Recovered { pn, payload } in &recovered {
            prop_assert!(flight.iter().any(|(sent, bytes, _)| sent == pn && bytes == payload));
        }
        let headers: Vec<Header> = repairs.iter().map(|(header, _)| *header).collect();
        let numbers: BTreeSet<u64> = recovered.iter().map(|recovered| recovered.pn).collect();
        prop_assert_eq!(numbers.len(), recovered.len());
        // A packet may be recovered and come later all the same, if it was reordered; the lost ones are settled exactly.
        prop_assert_eq!(numbers.difference(&arrived).copied().collect::<BTreeSet<u64>>(), solvable(&lost, &headers));
    }

    #[test]
    fn hostile_input_stays_within_bounds(
        inputs in prop::collection::vec((any::<bool>(), 0_u64..400, any::<u128>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..50)), 0..200),
    ) {
        let mut decoder = Decoder::new(20, 500, AGE_MAX);
        for (at, (source, base, set, seed, bytes)) in inputs.into_iter().enumerate() {
            let now = Time::ZERO + Duration::from_millis(10 * at as u64);
            if source {
                decoder.source(now, base, bytes.into());
            } else if let Some(header) = Header::new((0..128).filter(|i| set >> i & 1 == 1).map(|i| base + i), seed) {
                decoder.repair(now, &header, &bytes);
            }
            prop_assert!(decoder.within_bounds());
        }
    }

    #[test]
    fn a_repairs_header_is_short(gaps in prop::collection::vec(1_u64..9, 1..200), base in 0_u64..1 << 61, newest: bool) {
        let mut encoder = Encoder::new(128, 1 << 20);
        let mut pn = base;
        for gap in gaps {
            pn += gap;
            encoder.push(pn, Bytes::from_static(b"x"));
        }
        let (header, _) = encoder.repair(1, 0..=u64::MAX, if newest { Keep::Newest } else { Keep::Oldest }).unwrap();
        prop_assert!(header.encoded_len() <= HEADER_BYTES_MAX);
        prop_assert!(!newest || header.last() == pn);
    }
}

#[test]
fn acknowledged_packets_are_covered_no_more() {
    let mut encoder = Encoder::new(3, 100);
    (0..5).for_each(|pn| encoder.push(pn, Bytes::from_static(b"abc")));
    encoder.acknowledged(3);
    let (header, symbol) = encoder.repair(0, 0..=10, Keep::Newest).unwrap();
    assert_eq!(header.terms().map(|(pn, _)| pn).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(symbol.len(), LENGTH_BYTES + 3);
    encoder.push(6, Bytes::from(vec![0; 99]));
    assert_eq!(encoder.len(), 1, "bytes bound the window too");
}
