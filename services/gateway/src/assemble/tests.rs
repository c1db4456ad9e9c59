//! Each token once and in order, whatever becomes of the records on their way.

use lowland_events::{job::Output, meter::Usage, token::Published};
use proptest::prelude::*;

use super::*;

fn record(first: u32, tokens: &[u32], text: &str) -> Published {
    Published {
        attempt: 1,
        first,
        tokens: tokens.to_vec(),
        text: text.into(),
        logprobs: Vec::new(),
        usage: Usage::default(),
    }
}

/// Stored at a time that counts with the sequence.
fn at(sequence: u64) -> Place {
    Place { sequence, stored_at: Time(sequence.cast_signed()) }
}

/// Stored in a stream that began anew, after everything of the earlier one.
fn anew(sequence: u64) -> Place {
    Place { sequence, stored_at: Time(1_000_000 + sequence.cast_signed()) }
}

fn text(step: Step) -> String {
    match step {
        Step::Delta(delta) => delta.text,
        other => panic!("a delta was expected, not {other:?}"),
    }
}

#[test]
fn records_in_order_are_shown_as_they_come() {
    let mut assembly = Assembly::of_new_job();
    assert_eq!(text(assembly.record(at(5), &record(0, &[1, 2], "ab"))), "ab");
    assert_eq!(text(assembly.record(at(9), &record(2, &[3], "c"))), "c");
    assert_eq!(assembly.shown(), Position { tokens: 3, bytes: 3 });
}

#[test]
fn a_repetition_shows_nothing() {
    let mut assembly = Assembly::of_new_job();
    let tail = record(1, &[], "held back");
    assembly.record(at(1), &record(0, &[1], "a"));
    assert_eq!(text(assembly.record(at(2), &tail)), "held back");
    assert_eq!(assembly.record(at(2), &tail), Step::Nothing);
    assert_eq!(assembly.record(at(1), &record(0, &[1], "a")), Step::Nothing);
    assert_eq!(assembly.record(at(2), &tail), Step::Nothing);
}

#[test]
fn a_gap_is_told_once_and_closed_by_reading_again() {
    let mut assembly = Assembly::of_new_job();
    assembly.record(at(1), &record(0, &[1], "a"));
    assert_eq!(assembly.record(at(3), &record(2, &[3], "c")), Step::Gap);
    assert_eq!(assembly.record(at(4), &record(3, &[4], "d")), Step::Nothing);
    assert_eq!(assembly.record(at(1), &record(0, &[1], "a")), Step::Nothing);
    assert_eq!(text(assembly.record(at(2), &record(1, &[2], "b"))), "b");
    assert_eq!(text(assembly.record(at(3), &record(2, &[3], "c"))), "c");
}

#[test]
fn a_text_published_anew_is_cut_at_what_was_shown() {
    let mut assembly = Assembly::of_new_job();
    assembly.record(at(700), &record(0, &[1], "a"));
    assembly.record(at(701), &record(1, &[2], "b"));
    assert_eq!(text(assembly.record(anew(1), &record(0, &[1, 2, 3], "abc"))), "c");
    assert_eq!(text(assembly.record(anew(2), &record(3, &[4], "d"))), "d");
}

#[test]
fn an_attempt_that_was_succeeded_has_nothing_to_say() {
    let mut assembly = Assembly::of_new_job();
    let by = |attempt, record: Published| Published { attempt, ..record };
    assembly.record(at(1), &record(0, &[1, 2], "ab"));
    assert_eq!(
        assembly.record(at(2), &by(2, record(0, &[1, 2], "ab"))),
        Step::Nothing,
        "it retells the text"
    );
    assert_eq!(assembly.record(at(3), &record(2, &[9], "x")), Step::Nothing);
    assert_eq!(assembly.record(anew(1), &record(0, &[1, 2, 9, 9], "abxx")), Step::Nothing);
    assert_eq!(text(assembly.record(at(4), &by(2, record(2, &[3], "c")))), "c");
}

#[test]
fn a_resumed_caller_gets_the_rest_only() {
    let mut assembly = Assembly::resumed(Position { tokens: 2, bytes: 5 });
    assert_eq!(assembly.record(at(3), &record(3, &[4], "d")), Step::Nothing, "its place is not known yet");
    let step = assembly.record(at(1), &record(0, &[1, 2, 3], "äöüc"));
    let Step::Delta(delta) = step else { panic!("{step:?}") };
    assert_eq!(
        (delta.text.as_str(), delta.chars_before),
        ("c", 3),
        "a place within a character goes to its end"
    );
    let end = Position { tokens: 3, bytes: 7 };
    assert_eq!((delta.end, assembly.shown()), (end, end));
    let output = Output { text: "äöücd".into(), tokens: vec![1, 2, 3, 4], ..Output::default() };
    assert_eq!(assembly.whole(&output).unwrap().text, "d");
    assert_eq!(assembly.whole(&output), None);
}

#[test]
fn a_place_beyond_the_end_shows_nothing() {
    let mut assembly = Assembly::resumed(Position { tokens: u32::MAX, bytes: u32::MAX });
    assert_eq!(assembly.record(at(1), &record(0, &[1], "a")), Step::Nothing);
    assert_eq!(assembly.whole(&Output { text: "ab".into(), tokens: vec![1, 2], ..Output::default() }), None);
}

/// What befalls the records of a job on their way to a caller.
#[derive(Debug, Clone)]
enum Fate {
    /// The next record arrives.
    Arrive,
    /// Records from some earlier one on arrive again, as those do that were queued while the log was read.
    Again(usize),
    /// Some records are lost to this caller, who is told of it and reads again.
    Lag(usize),
    /// Some records that hold tokens are lost to this caller, unnoticed.
    Miss(usize),
    /// The bus loses its stream: the worker publishes the text so far anew, in a stream that counts from 1.
    Loss,
    /// Another attempt takes over: it retells the text so far, in one record or two.
    TakeOver(bool),
    /// The caller goes away and comes back with the id of the last event.
    Resume,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        6 => Just(Fate::Arrive),
        2 => any::<usize>().prop_map(Fate::Again),
        1 => (1..4_usize).prop_map(Fate::Lag),
        1 => (1..4_usize).prop_map(Fate::Miss),
        1 => Just(Fate::Loss),
        1 => Just(Fate::Resume),
        1 => any::<bool>().prop_map(Fate::TakeOver),
    ];
    proptest::collection::vec(fate, 0..60)
}

/// The pieces of an output: tokens and text are let go at different times.
fn pieces() -> impl Strategy<Value = Vec<(Vec<u32>, String)>> {
    let piece = (proptest::collection::vec(any::<u32>(), 0..4), "[a-zäß€😀]{0,4}");
    proptest::collection::vec(piece, 0..40)
        .prop_map(|pieces| pieces.into_iter().skip_while(|(tokens, _)| tokens.is_empty()).collect())
}

/// A bus that keeps a job's records, and a caller of it.
struct World {
    stored: Vec<(Place, Published)>,
    waiting: std::collections::VecDeque<(Vec<u32>, String)>,
    written: (Vec<u32>, String),
    assembly: Assembly,
    seen: String,
    clock: i64,
    attempt: u32,
    first_piece: Option<(usize, usize)>,
}

impl World {
    fn new(pieces: Vec<(Vec<u32>, String)>) -> Self {
        Self {
            stored: Vec::new(),
            waiting: pieces.into(),
            written: (Vec::new(), String::new()),
            assembly: Assembly::of_new_job(),
            seen: String::new(),
            clock: 0,
            attempt: 1,
            first_piece: None,
        }
    }

    fn publish(&mut self) -> Option<(Place, Published)> {
        let (tokens, text) = self.waiting.pop_front()?;
        let new = record(u32::try_from(self.written.0.len()).unwrap(), &tokens, &text);
        let new = Published { attempt: self.attempt, ..new };
        self.first_piece.get_or_insert((tokens.len(), text.len()));
        self.written.0.extend(tokens);
        self.written.1.push_str(&text);
        let place = self.store(new.clone());
        Some((place, new))
    }

    fn store(&mut self, record: Published) -> Place {
        self.clock += 1;
        let sequence = self.stored.last().map_or(0, |(place, _)| place.sequence) + 3;
        let place = Place { sequence, stored_at: Time(self.clock) };
        self.stored.push((place, record));
        place
    }

    fn arrive(&mut self, place: Place, record: &Published) {
        match self.assembly.record(place, record) {
            Step::Nothing => {}
            Step::Delta(delta) => self.take(&delta),
            Step::Gap => self.read_again(),
        }
    }

    fn take(&mut self, delta: &Delta) {
        assert_eq!(self.seen.chars().count(), delta.chars_before);
        self.seen.push_str(&delta.text);
        assert_eq!(self.seen.len(), delta.end.bytes as usize);
    }

    /// Tells the text so far anew; in two records, the first holds the first published piece.
    fn retell(&mut self, in_two: bool) {
        let (tokens, text) = self.written.clone();
        let cut = self.first_piece.filter(|_| in_two).unwrap_or((tokens.len(), text.len()));
        let rest = u32::try_from(cut.0).unwrap();
        let (head, tail) =
            (record(0, &tokens[..cut.0], &text[..cut.1]), record(rest, &tokens[cut.0..], &text[cut.1..]));
        for part in [Some(head), (cut != (tokens.len(), text.len())).then_some(tail)].into_iter().flatten() {
            let part = Published { attempt: self.attempt, ..part };
            let place = self.store(part.clone());
            self.arrive(place, &part);
        }
    }

    fn read_again(&mut self) {
        self.assembly.lose_place();
        for (place, record) in self.stored.clone() {
            self.arrive(place, &record);
        }
    }

    fn befall(&mut self, fate: &Fate) {
        match fate {
            Fate::Arrive => {
                if let Some((place, record)) = self.publish() {
                    self.arrive(place, &record);
                }
            }
            Fate::Again(index) if !self.stored.is_empty() => {
                for (place, record) in self.stored.clone().split_off(index % self.stored.len()) {
                    self.arrive(place, &record);
                }
            }
            Fate::Again(_) => {}
            Fate::Lag(many) => {
                (0..*many).for_each(|_| drop(self.publish()));
                self.read_again();
            }
            Fate::Miss(many) => {
                for _ in 0..*many {
                    if self.waiting.front().is_some_and(|(tokens, _)| !tokens.is_empty()) {
                        self.publish();
                    }
                }
            }
            Fate::Loss => {
                self.stored.clear();
                self.retell(false);
            }
            Fate::TakeOver(in_two) => {
                self.attempt += 1;
                self.retell(*in_two);
            }
            Fate::Resume => {
                self.assembly = Assembly::resumed(self.assembly.shown());
                self.read_again();
            }
        }
    }
}

proptest! {
    #[test]
    fn each_byte_is_shown_once_and_in_order(pieces in pieces(), fates in fates()) {
        let whole: (Vec<u32>, String) =
            (pieces.iter().flat_map(|p| p.0.clone()).collect(), pieces.iter().map(|p| p.1.as_str()).collect());
        let mut world = World::new(pieces);
        for fate in &fates {
            world.befall(fate);
            prop_assert!(whole.1.starts_with(&world.seen), "{:?} is not how {:?} begins", world.seen, whole.1);
        }
        let output = Output { tokens: whole.0, text: whole.1.clone(), ..Output::default() };
        if let Some(delta) = world.assembly.whole(&output) {
            world.take(&delta);
        }
        prop_assert_eq!(&world.seen, &whole.1);
    }

    #[test]
    fn whoever_misses_nothing_waits_for_nothing(pieces in pieces()) {
        let mut world = World::new(pieces);
        while let Some((place, record)) = world.publish() {
            world.arrive(place, &record);
            prop_assert_eq!(&world.seen, &world.written.1);
        }
    }
}
