//! Several streams followed at once: what is stored is told in the order of its storing, what comes is told as it comes.

use std::time::Duration;

use anyhow::{Result, bail};
use futures::future::select_all;
use lowland_events::{
    Filter, Time,
    log::{Error, Follow, Record, SharedLog, Start},
    retention::first_since_in,
    stream::LOG,
};

use super::Selection;
use crate::client::when::Moment;

/// Time between two looks for a stream that is not there, or a bus that does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With what is stored from now on.
    Now,
    /// With the first that is there.
    Start,
    /// With what was stored since.
    Since(Moment),
}

/// Streams side by side.
pub struct Lanes {
    lanes: Vec<Lane>,
}

struct Lane {
    log: SharedLog,
    stream: &'static str,
    filters: Vec<Filter>,
    start: Start,
    follow: Option<Box<dyn Follow>>,
    head: Option<Record>,
    /// Whether what was stored before has been told: from then on nobody waits for this lane.
    live: bool,
}

impl Lanes {
    /// Follows what `selection` selects. A stream that is not there yet is followed once it is.
    pub async fn open(log: &SharedLog, selection: Selection, from: From) -> Result<Self> {
        let mut lanes = Self { lanes: Vec::new() };
        lanes.add(log, selection, from).await?;
        Ok(lanes)
    }

    /// Follows that as well.
    pub async fn add(&mut self, log: &SharedLog, selection: Selection, from: From) -> Result<()> {
        let only = selection.len() == 1;
        for (stream, filters) in selection {
            let start = start(log, stream, from, only).await?;
            let (head, live) = (None, false);
            let mut lane = Lane { log: log.clone(), stream, filters, start, follow: None, head, live };
            lane.open().await?;
            self.lanes.push(lane);
        }
        Ok(())
    }

    /// The next record; waits for it. Cancel-safe.
    pub async fn next(&mut self) -> Result<Record> {
        loop {
            for lane in &mut self.lanes {
                lane.catch_up().await?;
            }
            let heads = self.lanes.iter_mut().filter(|lane| lane.head.is_some());
            let earliest = heads.min_by_key(|lane| lane.head.as_ref().map(|record| record.stored_at));
            if let Some(record) = earliest.and_then(|lane| lane.head.take()) {
                return Ok(record);
            }
            let waits = self.lanes.iter_mut().map(|lane| Box::pin(lane.wait()));
            select_all(waits).await.0?;
        }
    }

    /// Whether all that was stored before has been told.
    pub fn live(&self) -> bool {
        self.lanes.iter().all(|lane| lane.live && lane.head.is_none())
    }
}

impl Lane {
    async fn open(&mut self) -> Result<()> {
        match self.log.follow(self.stream, &self.filters, self.start).await {
            Ok(follow) => {
                self.live = follow.caught_up();
                self.follow = Some(follow);
            }
            Err(Error::NoStream(_) | Error::Unanswered(_)) => self.live = true,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Has the next of what was stored before at hand, if there is one.
    async fn catch_up(&mut self) -> Result<()> {
        while !self.live && self.head.is_none() {
            self.wait().await?;
        }
        Ok(())
    }

    /// Waits for a record, or for a while.
    async fn wait(&mut self) -> Result<()> {
        let Some(follow) = &mut self.follow else {
            tokio::time::sleep(AGAIN).await;
            // All of a stream that came into being meanwhile is new.
            self.start = Start::At(0);
            return self.open().await;
        };
        let next = follow.next().await;
        self.live = self.live || follow.caught_up();
        match next {
            Ok(record) => self.head = Some(record),
            Err(Error::NoStream(_) | Error::Unanswered(_)) => {
                self.live = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Where a stream's lane begins. A sequence is one of the only stream, or of the log: others begin at that one's time.
async fn start(log: &SharedLog, stream: &str, from: From, only: bool) -> Result<Start> {
    let moment = match from {
        From::Now => return Ok(Start::New),
        From::Start => return Ok(Start::At(0)),
        From::Since(moment) => moment,
    };
    let time = match moment {
        Moment::Time(time) => time,
        Moment::Sequence(sequence) if only || stream == LOG => return Ok(Start::At(sequence)),
        Moment::Sequence(sequence) => time_of(log, sequence).await?,
    };
    match first_since_in(&**log, stream, time).await {
        Ok(sequence) => Ok(Start::At(sequence)),
        Err(Error::NoStream(_)) => Ok(Start::At(0)),
        Err(error) => Err(error.into()),
    }
}

/// When the log stored `sequence`, or what is left after it.
async fn time_of(log: &SharedLog, sequence: u64) -> Result<Time> {
    match log.read(LOG, &[], sequence, 1).await?.first() {
        Some(record) => Ok(record.stored_at),
        None => bail!("the log ends before sequence {sequence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use lowland_events::{
        Draft, Subject,
        id::{AccountId, JobId},
        job::{Problem, ProblemCode, Rejected},
        log::memory::MemoryLog,
        request::CancelRequested,
        stream,
    };

    use crate::client::tail::select;

    async fn log() -> SharedLog {
        let log: SharedLog = Arc::new(MemoryLog::default());
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        log
    }

    async fn asked(log: &SharedLog, job: &str) {
        let subject =
            Subject::request(&AccountId::new("a").unwrap(), &JobId::new(job).unwrap(), "cancel_requested");
        let draft = Draft::new(subject, CancelRequested::default(), job, "test/1", Time(0));
        log.append(draft.entry()).await.unwrap();
    }

    async fn refused(log: &SharedLog, job: &str) {
        let subject = Subject::job(&AccountId::new("a").unwrap(), &JobId::new(job).unwrap(), "rejected");
        let problem = Problem { code: ProblemCode::IdUsed, message: "m".into(), field: None };
        let draft = Draft::new(subject, Rejected { problem }, job, "test/1", Time(0));
        log.append(draft.entry()).await.unwrap();
    }

    async fn next(lanes: &mut Lanes) -> (String, u64) {
        let record = tokio::time::timeout(Duration::from_secs(10), lanes.next()).await.unwrap().unwrap();
        (record.stream, record.sequence)
    }

    #[tokio::test]
    async fn what_is_stored_comes_in_order_and_what_comes_follows() {
        let log = log().await;
        asked(&log, "one").await;
        refused(&log, "one").await;
        asked(&log, "two").await;
        let mut lanes = Lanes::open(&log, select(&[]).unwrap(), From::Start).await.unwrap();
        let mut told = vec![next(&mut lanes).await, next(&mut lanes).await, next(&mut lanes).await];
        // The memory log may store two in one microsecond.
        told.sort();
        assert_eq!(told, [("LOG".into(), 1), ("REQUESTS".into(), 1), ("REQUESTS".into(), 2)]);
        refused(&log, "two").await;
        assert_eq!(next(&mut lanes).await, ("LOG".into(), 2));
        assert!(lanes.live());
    }

    #[tokio::test]
    async fn a_sequence_of_the_only_stream_is_its_own() {
        let log = log().await;
        for job in ["one", "two", "three"] {
            asked(&log, job).await;
        }
        let since = From::Since(Moment::Sequence(2));
        let mut lanes = Lanes::open(&log, select(&["request".into()]).unwrap(), since).await.unwrap();
        assert_eq!(next(&mut lanes).await, ("REQUESTS".into(), 2));
    }
}
