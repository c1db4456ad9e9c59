//! The state machine, move by move; and under every fault at once, against a model of the stream.

mod world;

use super::*;

fn piece(tokens: &[u32], text: &str) -> Piece {
    Piece { tokens: tokens.to_vec(), text: text.to_owned(), logprobs: Vec::new() }
}

fn usage(input: u64, cached: u64, output: u64) -> Usage {
    Usage::of([(Meter::InputTokens, input), (Meter::CachedTokens, cached), (Meter::OutputTokens, output)])
}

/// The append that is due, as (ordinal, after, first, text).
fn append(publication: &mut Publication) -> (u32, u64, u32, String) {
    match publication.next_step() {
        Some(Step::Append { ordinal, after, record }) => (ordinal, after, record.first, record.text),
        other => panic!("no append: {other:?}"),
    }
}

fn appended(ordinal: u32, after: u64, first: u32, text: &str) -> (u32, u64, u32, String) {
    (ordinal, after, first, text.to_owned())
}

/// A first attempt that has stored `ab` at sequence 5.
fn begun() -> Publication {
    let mut publication = Publication::new(1);
    publication.read_prompt(Prompt { input: 3, cached: 1 });
    publication.push(piece(&[1, 2], "ab"));
    assert_eq!(append(&mut publication), appended(0, 0, 0, "ab"));
    publication.take(Answer::Stored(5));
    publication
}

/// A second attempt that has read `ab` of the first, up to sequence 5.
fn second() -> Publication {
    let mut publication = Publication::new(2);
    assert_eq!(publication.next_step(), Some(Step::Gather));
    let mut transcript = Transcript::default();
    let record = Published {
        attempt: 1,
        first: 0,
        tokens: vec![1, 2],
        text: "ab".into(),
        logprobs: Vec::new(),
        usage: usage(3, 1, 2),
    };
    transcript.take(record, 5);
    publication.take(Answer::Gathered(transcript));
    publication
}

/// A second attempt that has sealed `ab` at sequence 6.
fn second_open() -> Publication {
    let mut publication = second();
    assert_eq!(append(&mut publication), appended(0, 5, 0, "ab"));
    publication.take(Answer::Stored(6));
    assert!(publication.is_open());
    publication
}

#[test]
fn what_comes_while_an_append_is_under_way_goes_with_the_next() {
    let mut publication = begun();
    assert!(publication.is_settled() && publication.next_step().is_none());
    publication.push(piece(&[3], "c"));
    assert_eq!(append(&mut publication), appended(1, 5, 2, "c"));
    publication.push(piece(&[4], ""));
    publication.push(piece(&[5], "de"));
    assert_eq!(append(&mut publication), appended(1, 5, 2, "c"), "what is under way does not change");
    publication.take(Answer::Stored(9));
    assert_eq!(append(&mut publication), appended(2, 9, 3, "de"));
    assert_eq!(publication.delivered(), &usage(3, 1, 3));
    assert_eq!(publication.usage(), usage(3, 1, 5));
}

#[test]
fn a_tail_without_tokens_is_published_too() {
    let mut publication = begun();
    publication.push(piece(&[], "tail"));
    assert_eq!(append(&mut publication), appended(1, 5, 2, "tail"));
}

#[test]
fn an_append_without_an_answer_is_repeated_as_it_was_if_the_job_is_still_ours() {
    let mut publication = begun();
    publication.push(piece(&[3], "c"));
    let first_try = append(&mut publication);
    publication.take(Answer::Unanswered);
    assert!(publication.is_uncertain());
    assert_eq!(publication.next_step(), Some(Step::Confirm));
    publication.push(piece(&[4], "d"));
    publication.take(Answer::Unanswered);
    assert_eq!(publication.next_step(), Some(Step::Confirm), "an unanswered question is asked again");
    publication.take(Answer::Standing(true));
    assert_eq!(append(&mut publication), first_try);
    publication.take(Answer::Unanswered);
    publication.take(Answer::Standing(false));
    assert!(publication.is_fenced() && publication.next_step().is_none());
}

#[test]
fn a_conflict_with_a_later_attempt_fences() {
    let mut publication = begun();
    publication.push(piece(&[3], "c"));
    publication.next_step();
    publication.take(Answer::Conflict);
    assert_eq!(publication.next_step(), Some(Step::ReadLast { ordinal: 1 }));
    publication.take(Answer::Last(Some(Last { sequence: 8, attempt: 2, same: false })));
    assert!(publication.is_fenced() && publication.is_settled() && !publication.is_uncertain());
    publication.push(piece(&[4], "d"));
    assert_eq!(publication.next_step(), None);
    assert_eq!(publication.delivered(), &usage(3, 1, 2));
}

#[test]
fn a_conflict_with_itself_is_a_success() {
    let mut publication = begun();
    publication.push(piece(&[3], "c"));
    publication.next_step();
    publication.take(Answer::Conflict);
    publication.take(Answer::Last(Some(Last { sequence: 8, attempt: 1, same: true })));
    publication.push(piece(&[4], "d"));
    assert_eq!(append(&mut publication), appended(2, 8, 3, "d"));
}

#[test]
fn a_lost_stream_is_told_anew_if_the_job_is_still_ours() {
    for (ours, again) in [(true, Some(appended(2, 0, 0, "abc"))), (false, None)] {
        let mut publication = begun();
        publication.push(piece(&[3], "c"));
        publication.next_step();
        publication.take(Answer::Conflict);
        publication.take(Answer::Last(None));
        assert_eq!(publication.next_step(), Some(Step::Confirm));
        publication.take(Answer::Standing(ours));
        assert_eq!(publication.is_fenced(), !ours);
        assert_eq!(again.is_some(), publication.next_step().is_some());
        if let Some(again) = again {
            assert_eq!(append(&mut publication), again);
        }
    }
}

#[test]
fn a_stranger_in_the_stream_is_answered_with_the_whole_text() {
    let mut publication = second_open();
    publication.push(piece(&[3], "c"));
    publication.next_step();
    publication.take(Answer::Conflict);
    publication.take(Answer::Last(Some(Last { sequence: 2, attempt: 1, same: false })));
    assert_eq!(append(&mut publication), appended(2, 2, 0, "abc"));
}

#[test]
fn a_later_attempt_seals_before_it_goes_on() {
    let mut publication = second();
    assert!(!publication.is_open());
    assert_eq!(append(&mut publication), appended(0, 5, 0, "ab"));
    publication.take(Answer::Stored(6));
    assert!(publication.is_open() && publication.is_settled());
    publication.read_prompt(Prompt { input: 1, cached: 99 });
    publication.push(piece(&[3], "c"));
    assert_eq!(append(&mut publication), appended(1, 6, 2, "c"));
    assert_eq!(publication.usage(), usage(3, 1, 3), "the prompt counts once a job");
}

#[test]
fn a_seal_that_conflicts_reads_again() {
    let mut publication = second();
    publication.next_step();
    publication.take(Answer::Conflict);
    assert_eq!(publication.next_step(), Some(Step::Gather));
    let mut more = Transcript::default();
    more.take(record_of(1, 0, &[1, 2, 3], "abc"), 7);
    publication.take(Answer::Gathered(more));
    assert_eq!(append(&mut publication), appended(1, 7, 0, "abc"));
}

#[test]
fn a_stream_that_is_lost_before_the_seal_is_told_anew() {
    let mut publication = second();
    publication.next_step();
    publication.take(Answer::Conflict);
    publication.take(Answer::Gathered(Transcript::default()));
    assert_eq!(append(&mut publication), appended(1, 0, 0, "ab"));
    publication.take(Answer::Stored(1));
    assert!(publication.is_open());
}

#[test]
fn a_later_attempt_that_wrote_already_fences_at_once() {
    let mut publication = Publication::new(2);
    let mut transcript = Transcript::default();
    transcript.take(record_of(3, 0, &[], ""), 9);
    publication.take(Answer::Gathered(transcript));
    assert!(publication.is_fenced());
}

#[test]
fn once_open_a_text_is_never_exchanged_for_what_the_stream_says() {
    let mut publication = second_open();
    publication.push(piece(&[3], "c"));
    publication.next_step();
    publication.take(Answer::Conflict);
    publication.take(Answer::Last(None));
    publication.take(Answer::Standing(true));
    assert_eq!(append(&mut publication), appended(2, 0, 0, "abc"));
    publication.take(Answer::Conflict);
    assert_eq!(publication.next_step(), Some(Step::ReadLast { ordinal: 2 }));
}

#[test]
fn a_long_text_is_told_anew_in_several_records() {
    let mut publication = begun();
    publication.push(piece(&[3], &"x".repeat(RECORD_BYTES_MAX)));
    publication.push(piece(&[4], "end"));
    publication.next_step();
    publication.take(Answer::Conflict);
    publication.take(Answer::Last(None));
    publication.take(Answer::Standing(true));
    for (sequence, first, length) in [(1, 0, 2), (2, 2, RECORD_BYTES_MAX), (3, 3, 3)] {
        let (_, after, at, text) = append(&mut publication);
        assert_eq!((after, at, text.len()), (sequence - 1, first, length));
        publication.take(Answer::Stored(sequence));
        assert!(publication.delivered().output_tokens() >= 2, "what was delivered stays delivered");
    }
    assert!(publication.is_settled());
}

fn record_of(attempt: u32, first: u32, tokens: &[u32], text: &str) -> Published {
    let usage = usage(0, 0, u64::from(first) + tokens.len() as u64);
    Published { attempt, first, tokens: tokens.to_vec(), text: text.into(), logprobs: Vec::new(), usage }
}
