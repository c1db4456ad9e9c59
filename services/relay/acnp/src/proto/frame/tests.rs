//! Every frame is read as it was written; no input makes the reader panic or lose its bounds.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::proto::{close::Code, fec, varint::VARINT_MAX};

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn varint() -> impl Strategy<Value = u64> {
    prop_oneof![0..64_u64, 0..1_u64 << 20, 0..=VARINT_MAX]
}

fn stream() -> impl Strategy<Value = StreamId> {
    varint().prop_map(StreamId)
}

fn path() -> impl Strategy<Value = PathId> {
    prop_oneof![Just(PathId(0)), any::<u32>().prop_map(PathId)]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Bi), Just(Direction::Uni)]
}

fn small() -> impl Strategy<Value = Frame> {
    let count = 0..=1_u64 << 60;
    prop_oneof![
        Just(Frame::Ping),
        Just(Frame::ImmediateAck),
        (varint(), bytes(0..256)).prop_map(|(code, reason)| Frame::Close(Close { code: Code(code), reason })),
        (stream(), varint(), varint()).prop_map(|(stream, code, final_size)| Frame::Reset {
            stream,
            code,
            final_size
        }),
        (stream(), varint()).prop_map(|(stream, code)| Frame::Stop { stream, code }),
        varint().prop_map(Frame::MaxData),
        (stream(), varint()).prop_map(|(stream, limit)| Frame::MaxStreamData { stream, limit }),
        (direction(), count.clone()).prop_map(|(direction, count)| Frame::MaxStreams { direction, count }),
        varint().prop_map(Frame::DataBlocked),
        (stream(), varint()).prop_map(|(stream, limit)| Frame::StreamDataBlocked { stream, limit }),
        (direction(), count).prop_map(|(direction, count)| Frame::StreamsBlocked { direction, count }),
        any::<[u8; 8]>().prop_map(Frame::PathChallenge),
        any::<[u8; 8]>().prop_map(Frame::PathResponse),
        (path(), varint()).prop_map(|(path, sequence)| Frame::RetireCid { path, sequence }),
        bytes(1..257).prop_map(Frame::NewToken),
    ]
}

fn large() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (varint(), 1..VARINT_MAX, varint(), varint()).prop_map(
            |(sequence, packets, delay_us, reordering)| {
                Frame::AckFrequency(AckFrequency { sequence, packets, delay_us, reordering })
            }
        ),
        (path(), varint(), 0..3_usize).prop_map(|(path, sequence, status)| {
            let status = [PathStatus::Abandoned, PathStatus::Standby, PathStatus::InUse][status];
            Frame::PathStatus { path, sequence, status }
        }),
        (path(), varint(), bytes(0..9), any::<[u8; 16]>()).prop_map(|(path, sequence, id, token)| {
            let id = ConnectionId::new(&id).unwrap();
            let reset_token = ResetToken(token);
            Frame::NewCid(NewCid { path, sequence, retire_before: sequence / 2, id, reset_token })
        }),
        (stream(), 0..VARINT_MAX - 2000, any::<bool>(), bytes(0..1500)).prop_map(
            |(stream, offset, end, data)| { Frame::Stream(StreamFrame { stream, offset, end, data }) }
        ),
        bytes(0..1500).prop_map(Frame::Datagram),
        ack().prop_map(Frame::Ack),
    ]
}

/// An ACK as its receiver sees it, made by writing it from its ranges.
fn ack() -> impl Strategy<Value = Ack> {
    let pairs = prop::collection::vec((0..300_u64, 0..300_u64), 1..=ACK_RANGES_MAX);
    let ecn = prop::option::of((varint(), varint(), varint()));
    let more = prop::option::of((0..1_u64 << 30, prop::collection::btree_set(0..5000_u64, 0..40)));
    (path(), pairs, 0..1_u64 << 30, ecn, more).prop_map(|(path, pairs, delay, ecn, more)| {
        let ecn = ecn.map(|(ect0, ect1, ce)| EcnCounts { ect0, ect1, ce });
        let mut smallest = 1_u64 << 40;
        let ranges: Vec<_> = pairs
            .iter()
            .map(|(gap, len)| {
                let end = smallest - gap - 2;
                smallest = end - len;
                smallest..=end
            })
            .collect();
        let largest = *ranges[0].end();
        let recovered: Vec<u64> =
            more.iter().flat_map(|(_, set)| set.iter().map(|distance| largest - distance)).collect();
        let more = more.as_ref().map(|(us, _)| (Duration::from_micros(*us), &recovered[..]));
        let mut out = Vec::new();
        let delay = Duration::from_micros(delay);
        write_ack(path, delay, ranges.iter().cloned(), ecn, more, 1 << 20, &mut out);
        let Some(Ok(Frame::Ack(ack))) = Frames::new(Bytes::from(out)).next() else { panic!("it is one") };
        assert_eq!(ack.ranges.iter().collect::<Vec<_>>(), ranges);
        assert_eq!(ack.recovered.iter().collect::<Vec<_>>(), recovered);
        assert_eq!((ack.path, ack.largest, ack.delay, ack.ecn), (path, largest, delay, ecn));
        ack
    })
}

proptest! {
    #[test]
    fn frames_are_read_as_written(frames in prop::collection::vec(prop_oneof![small(), large()], 0..12), padding in 0usize..9) {
        let mut out = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut out));
        Frame::Padding(padding).write(&mut out);
        let mut read: Vec<Frame> = Frames::new(out.into()).map(|frame| frame.unwrap()).collect();
        if padding > 0 {
            prop_assert_eq!(read.pop(), Some(Frame::Padding(padding)));
        }
        // An ACK shares bytes with its packet, and is equal all the same.
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn a_repair_ends_its_packet(base in 0..1_u64 << 40, span in 0..fec::SPAN_MAX, seed: u16, symbol in bytes(0..1400)) {
        let header = fec::Header::new([base, base + span].into_iter().take(1 + usize::from(span > 0)), seed).unwrap();
        let repair = Repair { path: PathId(3), header, symbol };
        let mut out = Vec::new();
        Frame::Repair(repair.clone()).write(&mut out);
        prop_assert_eq!(out.len(), repair.header_len() + repair.symbol.len());
        prop_assert_eq!(Frames::new(out.into()).next(), Some(Ok(Frame::Repair(repair))));
    }

    #[test]
    fn an_ack_keeps_to_its_space(gaps in prop::collection::vec(0..200_u64, 1..600), space in 60usize..1200) {
        let mut smallest = 1_u64 << 40;
        let ranges = gaps.iter().map(|gap| { smallest -= gap + 2; smallest..=smallest }).collect::<Vec<_>>();
        let mut out = Vec::new();
        let ecn = Some(EcnCounts::default());
        write_ack(PathId(1), Duration::ZERO, ranges.iter().cloned(), ecn, Some((Duration::ZERO, &[])), space, &mut out);
        prop_assert!(out.len() <= space);
        let Some(Ok(Frame::Ack(ack))) = Frames::new(out.into()).next() else { panic!("it is one") };
        let read: Vec<_> = ack.ranges.iter().collect();
        prop_assert_eq!(&read[..], &ranges[..read.len()]);
    }

    #[test]
    fn no_input_panics(input in bytes(0..300), kind in 0..0x40_u8) {
        Frames::new(input.clone()).for_each(|frame| if let Ok(Frame::Ack(ack)) = frame {
            assert!(ack.ranges.iter().count() <= ACK_RANGES_MAX);
            assert!(ack.recovered.iter().count() <= RECOVERED_MAX);
        });
        Frames::new([&[kind][..], &input].concat().into()).for_each(drop);
    }
}

#[test]
fn what_no_rule_allows_is_malformed() {
    for bad in [
        &[0x3f_u8][..],
        &[0x10, 5, 0, 0, 6],       // the first range reaches below 0
        &[0x10, 5, 0, 1, 1, 3, 0], // and so does the second
        &[0x1a, 1, 0, 0, 0],       // no ACK after no packets
        &[0x1b, 0, 1, 0, 0, 0, 0], // repair without its first packet
        &[0x19, 0],                // an empty token
        &[0x1d, 0, 0, 3],          // a status that there is not
        &[0x21, 0xff],             // cut short
    ] {
        let frame = Frames::new(Bytes::copy_from_slice(bad)).next();
        assert!(matches!(frame, Some(Err(_))), "{bad:x?} was read as {frame:?}");
    }
}
