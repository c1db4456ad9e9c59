//! A follower that lags, and whose readings fail now and then; it skips nothing and repeats nothing.

use std::sync::Arc;

use async_trait::async_trait;
use lowland_events::log::{Error, Follow, Record};
use tokio::time::{Instant, sleep_until};

use super::Link;

pub(super) struct LinkFollow {
    link: Arc<Link>,
    follow: Box<dyn Follow>,
    /// The next record and when it arrives.
    on_its_way: Option<(Record, Instant)>,
    /// Whether the reading under way fails.
    breaks: bool,
}

impl LinkFollow {
    pub(super) fn new(link: Arc<Link>, follow: Box<dyn Follow>) -> Self {
        Self { link, follow, on_its_way: None, breaks: false }
    }
}

#[async_trait]
impl Follow for LinkFollow {
    async fn next(&mut self) -> Result<Record, Error> {
        self.link.live().await;
        if self.on_its_way.is_none() {
            let record = self.follow.next().await?;
            let lag = self.link.follows().lag_ms;
            let lag = if lag > 0 { self.link.chance.ms(0..=lag) } else { std::time::Duration::ZERO };
            self.breaks = self.link.goes_wrong(self.link.follows().broken, "a follower breaks");
            self.on_its_way = Some((record, Instant::now() + lag));
        }
        let arrives = self.on_its_way.as_ref().map_or_else(Instant::now, |(_, at)| *at);
        let arrives = arrives.max(*super::lock(&self.link.cut));
        if arrives > Instant::now() {
            sleep_until(arrives).await;
        }
        self.link.live().await;
        if std::mem::take(&mut self.breaks) {
            return Err(Error::Unanswered("the connection was lost".to_owned()));
        }
        let (record, _) = self.on_its_way.take().expect("it was put there above");
        Ok(record)
    }

    fn caught_up(&self) -> bool {
        self.on_its_way.is_none() && self.follow.caught_up()
    }
}
