//! Two ends of streams with the frames between them, lost or not.

use bytes::Bytes;

use super::*;
use crate::proto::{
    Direction, Side, StreamId,
    close::Code,
    frame::{Frame, Frames, StreamFrame},
    handshake::{EARLY_LIMITS, Parameters},
};

fn config() -> StreamConfig {
    StreamConfig { stream_window: 4096, window: 16_384, streams: 8, send_buffer: 1 << 20, unsent: 1 << 16 }
}

fn granted() -> Parameters {
    Parameters { data: 16_384, stream_data: 4096, streams_bi: 8, streams_uni: 8, ..EARLY_LIMITS }
}

/// Both limits of `granted`, since early ones would be larger than what the tests are about.
fn pair() -> (Streams, Streams) {
    let make = |side| {
        let mut streams = Streams::new(side, config());
        (streams.limit, streams.stream_limit) = (0, 0);
        streams.counts.iter_mut().for_each(|counts| *counts = super::open::Counts::new(0, 8));
        streams.establish(&granted());
        streams
    };
    (make(Side::Client), make(Side::Server))
}

fn take(to: &mut Streams, frame: Frame) {
    match frame {
        Frame::Stream(frame) => to.on_stream(frame).unwrap(),
        Frame::Reset { stream, code, final_size } => to.on_reset(stream, code, final_size).unwrap(),
        Frame::Stop { stream, code } => to.on_stop(stream, code).unwrap(),
        Frame::MaxData(limit) => to.on_max_data(limit),
        Frame::MaxStreamData { stream, limit } => to.on_max_stream_data(stream, limit).unwrap(),
        Frame::MaxStreams { direction, count } => to.on_max_streams(direction, count),
        _ => {}
    }
}

/// Sends one frame; `fate` says whether it arrives. Says what was sent.
fn step(from: &mut Streams, to: &mut Streams, arrives: bool) -> bool {
    if let Some((control, frame)) = from.poll_control() {
        if arrives {
            take(to, frame);
            from.on_control_acked(control);
        } else {
            from.on_control_lost(control);
        }
        return true;
    }
    let mut out = Vec::new();
    let Some(sent) = from.write_data(700, &mut out) else { return false };
    assert!(out.len() <= 700);
    if arrives {
        take(to, Frames::new(out.into()).next().unwrap().unwrap());
        from.on_data_acked(sent);
    } else {
        from.on_data_lost(sent);
    }
    true
}

fn read_all(streams: &mut Streams, id: StreamId, into: &mut Vec<u8>) -> Result<bool, ReadError> {
    loop {
        match streams.read(id, 1000) {
            Ok(Some(data)) => into.extend_from_slice(&data),
            Ok(None) => return Ok(true),
            Err(ReadError::Blocked) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn a_stream_larger_than_all_windows_arrives_over_loss() {
    let (mut client, mut server) = pair();
    let id = client.open(Direction::Bi).unwrap();
    let content: Vec<u8> = (0..50_000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(client.write(id, content.clone().into()), Ok(50_000));
    client.finish(id).unwrap();
    let (mut read, mut accepted, mut over) = (Vec::new(), false, false);
    for turn in 0..2000 {
        step(&mut client, &mut server, turn % 3 != 0);
        step(&mut server, &mut client, turn % 5 != 0);
        accepted |= server.accept(Direction::Bi).is_some();
        over = over || accepted && read_all(&mut server, id, &mut read).unwrap();
    }
    assert!(over);
    let wrong = read.iter().zip(&content).position(|(a, b)| a != b);
    assert_eq!((read.len(), wrong), (content.len(), None));
    assert!(std::iter::from_fn(|| client.poll_event()).any(|event| event == StreamEvent::Finished(id)));
    assert_eq!(client.buffered(), 0);
}

#[test]
fn a_sender_keeps_to_both_limits_and_the_peer_would_notice() {
    let (mut client, mut server) = pair();
    let ids: Vec<_> = (0..5).map(|_| client.open(Direction::Uni).unwrap()).collect();
    for id in &ids {
        client.write(*id, vec![1; 10_000].into()).unwrap();
    }
    while step(&mut client, &mut server, true) {}
    assert_eq!(client.sent, 16_384);
    assert!(!client.has_data());
    let beyond = |stream, offset, len: usize| {
        Frame::Stream(StreamFrame { stream, offset, end: false, data: Bytes::from(vec![0; len]) })
    };
    let Frame::Stream(frame) = beyond(ids[0], 4096, 1) else { unreachable!() };
    assert_eq!(server.on_stream(frame).unwrap_err().code, Code::FLOW_CONTROL);
    let Frame::Stream(frame) = beyond(StreamId::new(Side::Client, Direction::Uni, 5), 0, 1) else {
        unreachable!()
    };
    assert_eq!(
        server.on_stream(frame).unwrap_err().code,
        Code::FLOW_CONTROL,
        "the limit of all streams together"
    );
}

#[test]
fn what_the_peer_may_not_do_has_its_code() {
    let (mut client, mut server) = pair();
    let mine = StreamId::new(Side::Server, Direction::Uni, 0);
    let data = |stream, offset, end| StreamFrame { stream, offset, end, data: Bytes::from_static(b"abc") };
    assert_eq!(server.on_stream(data(mine, 0, false)).unwrap_err().code, Code::STREAM_STATE);
    let unopened = StreamId::new(Side::Server, Direction::Bi, 0);
    assert_eq!(server.on_stream(data(unopened, 0, false)).unwrap_err().code, Code::STREAM_STATE);
    let ninth = StreamId::new(Side::Client, Direction::Uni, 8);
    assert_eq!(server.on_stream(data(ninth, 0, false)).unwrap_err().code, Code::STREAM_LIMIT);
    let theirs = StreamId::new(Side::Client, Direction::Uni, 0);
    assert_eq!(server.on_stop(theirs, 0).unwrap_err().code, Code::STREAM_STATE);
    server.on_stream(data(theirs, 5, true)).unwrap();
    assert_eq!(server.on_stream(data(theirs, 6, false)).unwrap_err().code, Code::FINAL_SIZE);
    assert_eq!(server.on_stream(data(theirs, 1, true)).unwrap_err().code, Code::FINAL_SIZE);
    assert_eq!(server.on_reset(theirs, 0, 9).unwrap_err().code, Code::FINAL_SIZE);
    assert!(client.open(Direction::Uni).is_some());
}

#[test]
fn reset_stop_and_half_close_reach_the_other_side() {
    let (mut client, mut server) = pair();
    let ids: Vec<_> = (0..3).map(|_| client.open(Direction::Bi).unwrap()).collect();
    for id in &ids {
        client.write(*id, Bytes::from_static(b"question")).unwrap();
    }
    client.finish(ids[2]).unwrap();
    while step(&mut client, &mut server, true) {}
    client.reset(ids[0], 7).unwrap();
    assert_eq!(client.write(ids[0], Bytes::from_static(b"x")), Err(WriteError::Closed));
    server.stop(ids[1], 8).unwrap();
    while step(&mut client, &mut server, true) || step(&mut server, &mut client, true) {}
    assert_eq!(server.read(ids[0], 10), Err(ReadError::Reset(7)));
    assert_eq!(
        client.write(ids[1], Bytes::from_static(b"x")),
        Err(WriteError::Stopped(8)).or(Err(WriteError::Closed))
    );
    assert!(std::iter::from_fn(|| client.poll_event()).any(|event| event == StreamEvent::Stopped(ids[1], 8)));
    assert_eq!(server.read(ids[2], 100), Ok(Some(Bytes::from_static(b"question"))));
    assert_eq!(server.read(ids[2], 100), Ok(None));
    server.write(ids[2], Bytes::from_static(b"answer")).unwrap();
    server.finish(ids[2]).unwrap();
    while step(&mut server, &mut client, true) {}
    assert_eq!(client.read(ids[2], 100), Ok(Some(Bytes::from_static(b"answer"))));
    assert_eq!(client.read(ids[2], 100), Ok(None));
    assert!(!client.receiving.contains_key(&ids[2]) && !client.sending.contains_key(&ids[2]));
    assert!(!server.receiving.contains_key(&ids[2]) && !server.sending.contains_key(&ids[2]));
}

#[test]
fn streams_come_and_go_beyond_the_number_allowed_at_once() {
    let (mut client, mut server) = pair();
    let mut waited = false;
    for message in 0..100_u32 {
        let id = loop {
            if let Some(id) = client.open(Direction::Uni) {
                break id;
            }
            waited = true;
            while step(&mut client, &mut server, true) {}
            while let Some(id) = server.accept(Direction::Uni) {
                assert_eq!(read_all(&mut server, id, &mut Vec::new()), Ok(true));
            }
            while step(&mut server, &mut client, true) {}
        };
        client.write(id, Bytes::copy_from_slice(&message.to_be_bytes())).unwrap();
        client.finish(id).unwrap();
    }
    assert!(waited);
    assert!(client.sending.len() <= 8 && server.receiving.len() <= 8);
}

/// Bytes of each stream among the first `count` that are sent.
fn shares(client: &mut Streams, count: u64) -> std::collections::HashMap<StreamId, u64> {
    let (mut shares, mut total) = (std::collections::HashMap::new(), 0);
    while total < count {
        let sent = client.write_data(500, &mut Vec::new()).unwrap();
        *shares.entry(sent.stream).or_default() += u64::from(sent.len);
        total += u64::from(sent.len);
    }
    shares
}

#[test]
fn urgent_goes_first_and_the_rest_by_weight() {
    let mut client = Streams::new(Side::Client, StreamConfig { unsent: 1 << 20, ..config() });
    client.establish(&Parameters { data: 1 << 30, stream_data: 1 << 30, ..granted() });
    let ids: Vec<_> = (0..4).map(|_| client.open(Direction::Uni).unwrap()).collect();
    for (id, len) in ids.iter().zip([300_000, 300_000, 5000, 5000]) {
        client.write(*id, vec![0; len].into()).unwrap();
    }
    client.set_priority(ids[1], Priority::Weight(48));
    client.set_priority(ids[2], Priority::Urgent);
    client.set_priority(ids[3], Priority::Urgent);
    let first = shares(&mut client, 4000);
    assert!(first[&ids[2]].abs_diff(first[&ids[3]]) <= 500, "{first:?}");
    assert!(!first.contains_key(&ids[0]) && !first.contains_key(&ids[1]));
    shares(&mut client, 6000);
    let then = shares(&mut client, 200_000);
    let ratio = then[&ids[1]] as f64 / then[&ids[0]] as f64;
    assert!((2.9..3.1).contains(&ratio), "{ratio}");
}

#[test]
fn only_repeatable_streams_go_before_the_handshake_is_over() {
    let mut client = Streams::new(Side::Client, config());
    let (one, other) = (client.open(Direction::Uni).unwrap(), client.open(Direction::Uni).unwrap());
    client.write(one, Bytes::from_static(b"no")).unwrap();
    client.write(other, Bytes::from_static(b"yes")).unwrap();
    assert!(!client.has_data());
    client.set_repeatable(other);
    assert_eq!(client.write_data(100, &mut Vec::new()).map(|sent| sent.stream), Some(other));
    assert!(!client.has_data());
    client.establish(&granted());
    assert_eq!(client.write_data(100, &mut Vec::new()).map(|sent| sent.stream), Some(one));
}

#[test]
fn a_writer_waits_for_room_and_hears_of_it() {
    let (mut client, mut server) = pair();
    let id = client.open(Direction::Uni).unwrap();
    assert_eq!(client.write(id, vec![0; 100_000].into()), Ok(1 << 16));
    assert_eq!(client.write(id, Bytes::from_static(b"x")), Err(WriteError::Blocked));
    let mut read = Vec::new();
    let heard = (0..2000).any(|_| {
        step(&mut client, &mut server, true);
        step(&mut server, &mut client, true);
        if server.accept(Direction::Uni).is_some() || !read.is_empty() {
            read_all(&mut server, id, &mut read).unwrap();
        }
        std::iter::from_fn(|| client.poll_event()).any(|event| event == StreamEvent::Writable(id))
    });
    assert!(heard);
    assert!(client.write(id, Bytes::from_static(b"x")).is_ok());
}
