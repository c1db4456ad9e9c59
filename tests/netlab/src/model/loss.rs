//! Which packets are lost: each alone, and by Gilbert's two states (Gilbert, "Capacity of a Burst-Noise Channel", 1960).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::path::Bursts;

#[derive(Debug)]
pub(super) struct Loss {
    alone: f64,
    to_bad: f64,
    to_good: f64,
    bad: bool,
    chance: ChaCha8Rng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Passes,
    Alone,
    InBurst,
}

impl Loss {
    pub(super) fn new(alone: f64, bursts: Option<Bursts>, chance: ChaCha8Rng) -> Self {
        // Bad states last `1 / to_good` packets; their share of all packets is `to_bad / (to_bad + to_good)`.
        let (to_bad, to_good) = bursts.map_or((0.0, 1.0), |bursts| {
            let to_good = 1.0 / bursts.packets;
            ((to_good * bursts.loss / (1.0 - bursts.loss)).min(1.0), to_good)
        });
        Self { alone, to_bad, to_good, bad: false, chance }
    }

    /// The next packet's fate. Draws the same amount whatever comes out, so that packet n fares alike in every run.
    pub(super) fn fate(&mut self) -> Fate {
        let (turn, single): (f64, f64) = (self.chance.random(), self.chance.random());
        self.bad = if self.bad { turn >= self.to_good } else { turn < self.to_bad };
        match (self.bad, single < self.alone) {
            (true, _) => Fate::InBurst,
            (false, true) => Fate::Alone,
            (false, false) => Fate::Passes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chance;

    const PACKETS: usize = 200_000;

    fn fates(alone: f64, bursts: Option<Bursts>) -> Vec<Fate> {
        let mut loss = Loss::new(alone, bursts, chance(7, 1));
        (0..PACKETS).map(|_| loss.fate()).collect()
    }

    fn share(fates: &[Fate], of: Fate) -> f64 {
        fates.iter().filter(|fate| **fate == of).count() as f64 / fates.len() as f64
    }

    #[test]
    fn single_losses_come_as_often_as_asked() {
        let lost = share(&fates(0.05, None), Fate::Alone);
        assert!((0.047..0.053).contains(&lost), "{lost}");
    }

    #[test]
    fn bursts_lose_the_share_and_last_the_length_asked_for() {
        let fates = fates(0.0, Some(Bursts { loss: 0.02, packets: 10.0 }));
        let lost = share(&fates, Fate::InBurst);
        let begun = fates.windows(2).filter(|two| two[0] == Fate::Passes && two[1] == Fate::InBurst).count();
        let length = lost * PACKETS as f64 / begun as f64;
        assert!((0.017..0.023).contains(&lost), "{lost}");
        assert!((9.0..11.0).contains(&length), "{length}");
    }
}
