//! What a client asks an echo for, drawn from a seed, and what has to come back.

use rand::{Rng, RngExt};
use serde_json::{Value, json};

/// The model that is asked.
const MODEL: &str = "echo";

/// What a crowd asks for.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Fewest and most tokens of a text; an echo's token is a character.
    pub tokens: (usize, usize),
    /// Of a hundred jobs, so many are cancelled by their caller.
    pub cancelled_of_100: u32,
    /// Of a hundred jobs, so many have a deadline that they may miss.
    pub hurried_of_100: u32,
    /// Longest time from acknowledgement to cancelling, and of deadlines, in milliseconds.
    pub soon_ms: u64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { tokens: (10, 120), cancelled_of_100: 8, hurried_of_100: 8, soon_ms: 1500 }
    }
}

/// One job, as its caller wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What is to be echoed.
    pub prompt: String,
    /// Most tokens to write.
    pub most: usize,
    /// Time that it may take, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Time after which the caller cancels it, in milliseconds.
    pub cancel_ms: Option<u64>,
}

impl Ask {
    /// The next one of a client.
    pub fn draw(mix: &Mix, name: &str, chance: &mut impl Rng) -> Self {
        let (fewest, most) = mix.tokens;
        let tokens = chance.random_range(fewest..=most);
        let in_100 = |chance: &mut _, share| Rng::next_u32(chance) % 100 < share;
        let soon = |chance: &mut _| RngExt::random_range(chance, 1..=mix.soon_ms);
        let cancel_ms = in_100(chance, mix.cancelled_of_100).then(|| soon(chance));
        let deadline_ms = in_100(chance, mix.hurried_of_100).then(|| soon(chance));
        // Some texts are cut by `max_tokens`, others end by themselves.
        let cut = chance.random_range(0..=tokens / 2);
        Self { prompt: numbered(name, tokens), most: tokens - cut.min(tokens - 1), deadline_ms, cancel_ms }
    }

    /// The text that an echo gives back when nothing goes wrong.
    #[must_use]
    pub fn wanted(&self) -> String {
        self.prompt.chars().take(self.most).collect()
    }

    /// The request, for the bus as for the gateway.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({ "model": MODEL, "prompt": self.prompt, "max_tokens": self.most });
        if let Some(deadline) = self.deadline_ms {
            body["deadline_ms"] = deadline.into();
        }
        body
    }
}

/// A text of which no two stretches are alike, so that a token that is missing or comes twice shows.
fn numbered(name: &str, tokens: usize) -> String {
    let words = (0..).flat_map(|number| format!("{name}.{number} ").into_bytes());
    words.take(tokens).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn drawn(seed: u64) -> Vec<Ask> {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        (0..500).map(|_| Ask::draw(&Mix::default(), "a", &mut chance)).collect()
    }

    #[test]
    fn a_seed_asks_the_same_again() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn the_mix_has_all_kinds() {
        let asks = drawn(1);
        assert!(asks.iter().any(|ask| ask.cancel_ms.is_some()));
        assert!(asks.iter().any(|ask| ask.deadline_ms.is_some()));
        assert!(asks.iter().any(|ask| ask.wanted() == ask.prompt));
        assert!(asks.iter().any(|ask| ask.wanted() != ask.prompt));
        assert!(asks.iter().all(|ask| !ask.wanted().is_empty() && ask.wanted().len() <= 120));
    }

    #[test]
    fn texts_do_not_repeat_themselves() {
        assert_eq!(numbered("x", 11), "x.0 x.1 x.2");
    }
}
