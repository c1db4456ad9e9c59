//! Stop sequences in a stream of text: what may be the beginning of one is held back until it is decided.
//!
//! The sequence that is complete first ends the text, whichever pieces the text arrives in; of those complete
//! at once, the longest.

use crate::Error;

/// Most stop sequences a request.
pub const STOPS_MAX: usize = 16;
/// Longest stop sequence, in bytes.
pub const STOP_BYTES_MAX: usize = 256;

/// Refuses lists that are too long, and sequences that are empty or too long.
pub(crate) fn validate(stops: &[String]) -> Result<(), Error> {
    if stops.len() > STOPS_MAX {
        return Err(Error::invalid(
            "stop",
            format!("has {} sequences, at most {STOPS_MAX} are taken", stops.len()),
        ));
    }
    match stops.iter().find(|stop| stop.is_empty() || stop.len() > STOP_BYTES_MAX) {
        Some(stop) => Err(Error::invalid(
            "stop",
            format!("a sequence has {} bytes, 1 to {STOP_BYTES_MAX} are taken", stop.len()),
        )),
        None => Ok(()),
    }
}

/// State of one text.
#[derive(Debug)]
pub(crate) struct Stops {
    stops: Vec<String>,
    held: String,
}

/// What became of a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Text that is certain to come before any stop sequence.
    pub(crate) text: String,
    /// Whether a stop sequence followed it; nothing may be pushed after that.
    pub(crate) stopped: bool,
}

impl Stops {
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes the next piece of text.
    pub(crate) fn push(&mut self, piece: &str) -> Passed {
        let old = self.held.len();
        self.held.push_str(piece);
        if let Some(start) = self.first_complete(old) {
            self.held.truncate(start);
            return Passed { text: std::mem::take(&mut self.held), stopped: true };
        }
        let kept = self.undecided();
        let rest = self.held.split_off(self.held.len() - kept);
        Passed { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// What is still held back, when the text ends otherwise.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Start of the stop sequence that ends first after byte `old` of the held text.
    fn first_complete(&self, old: usize) -> Option<usize> {
        let ends = |end: usize| {
            self.stops.iter().filter(move |stop| self.held.as_bytes()[..end].ends_with(stop.as_bytes()))
        };
        (old + 1..=self.held.len()).find_map(|end| ends(end).map(|stop| end - stop.len()).min())
    }

    /// Bytes at the end that a stop sequence may begin with.
    fn undecided(&self) -> usize {
        let begins = |size: &usize| {
            let tail = &self.held.as_bytes()[self.held.len() - size..];
            self.stops.iter().any(|stop| stop.len() > *size && stop.as_bytes().starts_with(tail))
        };
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0).saturating_sub(1);
        (1..=longest.min(self.held.len())).rev().find(begins).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stops(list: &[&str]) -> Stops {
        Stops::new(list.iter().map(|stop| (*stop).to_owned()).collect())
    }

    #[test]
    fn a_beginning_is_held_until_it_is_decided() {
        let mut stops = stops(&["END"]);
        assert_eq!(stops.push("aE"), Passed { text: "a".into(), stopped: false });
        assert_eq!(stops.push("N"), Passed { text: String::new(), stopped: false });
        assert_eq!(stops.push("x E"), Passed { text: "ENx ".into(), stopped: false });
        assert_eq!(stops.push("NDing"), Passed { text: String::new(), stopped: true });
    }

    #[test]
    fn what_was_held_comes_out_at_the_end() {
        let mut stops = stops(&["\n\n"]);
        assert_eq!(stops.push("line\n").text, "line");
        assert_eq!(stops.finish(), "\n");
    }

    #[test]
    fn bad_lists_are_refused() {
        assert!(validate(&["a".to_owned()]).is_ok());
        assert!(validate(&[String::new()]).is_err());
        assert!(validate(&["x".repeat(STOP_BYTES_MAX + 1)]).is_err());
        assert!(validate(&vec!["x".to_owned(); STOPS_MAX + 1]).is_err());
    }

    /// Looks at every prefix of the whole text.
    fn oracle(text: &str, stops: &[String]) -> (String, bool) {
        for end in 1..=text.len() {
            let found = stops.iter().filter(|stop| text.as_bytes()[..end].ends_with(stop.as_bytes()));
            if let Some(stop) = found.max_by_key(|stop| stop.len()) {
                return (text[..end - stop.len()].to_owned(), true);
            }
        }
        (text.to_owned(), false)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec("[abé]{0,4}", 0..12), stops in prop::collection::vec("[abé]{1,4}", 0..4)) {
            let mut stream = Stops::new(stops.clone());
            let (mut text, mut stopped) = (String::new(), false);
            for piece in &pieces {
                if !stopped {
                    let passed = stream.push(piece);
                    text.push_str(&passed.text);
                    stopped = passed.stopped;
                }
            }
            if !stopped {
                text.push_str(&stream.finish());
            }
            prop_assert_eq!((text, stopped), oracle(&pieces.concat(), &stops));
        }
    }
}
