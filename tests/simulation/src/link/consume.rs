//! A durable consumer whose deliveries are lost, doubled, and overtake each other; whose acknowledgements are lost.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lowland_events::log::{Acknowledge, Consume, Delivery, Error};
use tokio::time::{Instant, sleep_until};

use super::Link;

/// Longest time for which a delivery is held back, in milliseconds.
const HELD_MS_MAX: u64 = 4000;
/// Deliveries under way at once.
const UNDER_WAY_MAX: usize = 64;

pub(super) struct LinkConsume {
    link: Arc<Link>,
    consume: Box<dyn Consume>,
    /// Deliveries and when each arrives.
    under_way: Vec<(Instant, Delivery)>,
}

impl LinkConsume {
    pub(super) fn new(link: Arc<Link>, consume: Box<dyn Consume>) -> Self {
        Self { link, consume, under_way: Vec::new() }
    }

    /// When the next delivery arrives.
    fn next_at(&self) -> Option<Instant> {
        let first = self.under_way.iter().map(|(at, _)| *at).min()?;
        Some(first.max(*super::lock(&self.link.cut)))
    }

    fn arrived(&mut self) -> Option<Delivery> {
        if self.next_at()? > Instant::now() {
            return None;
        }
        let first = (0..self.under_way.len()).min_by_key(|index| self.under_way[*index].0)?;
        Some(self.under_way.remove(first).1)
    }

    /// A delivery sets out.
    async fn send(&mut self, delivery: Delivery) -> Result<(), Error> {
        let (link, faults) = (self.link.clone(), self.link.deliveries().clone());
        if link.goes_wrong(faults.lost, "a delivery is lost") {
            return Ok(());
        }
        let Delivery { record, delivered, ack } = delivery;
        let early = link.bug.is_some_and(|bug| bug.acknowledges_early(link.service));
        if early {
            ack.ack().await?;
        }
        let ack = LinkAck { link: link.clone(), ack: Arc::from(ack), done: early };
        let copy = |ack: LinkAck| Delivery { record: record.clone(), delivered, ack: Box::new(ack) };
        let now = Instant::now();
        if link.goes_wrong(faults.doubled, "a delivery arrives twice") {
            self.under_way.push((now + link.chance.ms(0..=HELD_MS_MAX), copy(ack.clone())));
        }
        let held = link.goes_wrong(faults.held_back, "a delivery is overtaken");
        let after = if held { link.chance.ms(1..=HELD_MS_MAX) } else { Duration::ZERO };
        self.under_way.push((now + after, copy(ack)));
        Ok(())
    }
}

#[async_trait]
impl Consume for LinkConsume {
    async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            self.link.live().await;
            if let Some(delivery) = self.arrived() {
                return Ok(delivery);
            }
            let next = self.next_at();
            let room = self.under_way.len() < UNDER_WAY_MAX;
            tokio::select! {
                biased;
                delivery = self.consume.next(), if room => self.send(delivery?).await?,
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }
}

#[derive(Clone)]
struct LinkAck {
    link: Arc<Link>,
    ack: Arc<dyn Acknowledge>,
    /// Whether it was acknowledged already, by a planted bug.
    done: bool,
}

#[async_trait]
impl Acknowledge for LinkAck {
    async fn ack(&self) -> Result<(), Error> {
        if self.done { Ok(()) } else { self.link.ask(self.ack.ack()).await }
    }

    async fn progress(&self) -> Result<(), Error> {
        if self.done { Ok(()) } else { self.link.ask(self.ack.progress()).await }
    }

    async fn again(&self, delay_ms: u64) -> Result<(), Error> {
        if self.done { Ok(()) } else { self.link.ask(self.ack.again(delay_ms)).await }
    }
}
