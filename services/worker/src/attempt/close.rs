//! The end of an attempt: what is to be said, and saying it until it stands in the log or is no longer ours to say.

use std::time::Duration;

use lowland_events::{Event, job::Finish};
use tokio::time::{Instant, timeout};

use super::{Attempt, Exit};
use crate::{bus::Verdict, job::Ending, roster::Order};

/// Longest wait, at an attempt's end, until tokens are published: `completed` tells all of them anyway.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

impl Attempt {
    /// What is to be said at the end; nothing, if the job is somebody else's.
    pub(super) async fn ending(&mut self, exit: Exit) -> Option<Ending> {
        match exit {
            Exit::Ends(ending) => Some(ending),
            Exit::Ordered(Order::Leave | Order::Proceed) => None,
            Exit::Ordered(Order::Stop) => Some(Ending::stopped()),
            Exit::Ordered(Order::End { sequence, reason }) => {
                self.tip = self.tip.max(sequence);
                Some(self.unwanted(reason).await)
            }
        }
    }

    /// What was delivered counts, as far as it is known to be.
    async fn unwanted(&mut self, reason: String) -> Ending {
        let resolved = timeout(FLUSH_WAIT, self.publisher.resolve()).await;
        if resolved.is_err() {
            tracing::warn!("ending a job though the bus did not say what it stored last");
        }
        Ending::Unwanted { reason, usage: self.publisher.publication.delivered().clone() }
    }

    /// Says how the attempt ended, until that stands in the log or is no longer ours to say.
    pub(super) async fn conclude(&mut self, ending: Ending) {
        let mut ending = self.fit(ending);
        if let Ending::Failed(_) = ending {
            let _ = timeout(FLUSH_WAIT, self.publisher.flush()).await;
        }
        loop {
            let (event, end) = (ending.event(&self.of), self.bus.clock.now());
            let flush = async {
                if let Ending::Completed { .. } = ending {
                    let _ = timeout(FLUSH_WAIT, self.publisher.flush()).await;
                }
            };
            // Tokens first: somebody waits for them.
            let ((), verdict) = tokio::join!(biased; flush, self.bus.append(&self.of, event, &mut self.tip));
            match verdict {
                Verdict::Stored => {
                    self.trace.ended(&self.of, &ending, self.resumed.into(), end);
                    break self.count(&ending);
                }
                Verdict::Unwanted { reason, .. } => ending = self.unwanted(reason).await,
                Verdict::Gone => {
                    self.watch.gone();
                    break tracing::info!("the job is somebody else's");
                }
            }
        }
    }

    /// The ending, if a message can hold it; else the failure that it can't.
    fn fit(&self, ending: Ending) -> Ending {
        let most = self.bus.body_bytes_max();
        match Event::from(ending.event(&self.of)).encode().len() {
            bytes if bytes > most => {
                self.watch.bound_hit("event_bytes");
                Ending::too_large(bytes, most)
            }
            _ => ending,
        }
    }

    fn count(&self, ending: &Ending) {
        let outcome = ending.event(&self.of).event_type().name;
        let reason = match ending {
            Ending::Completed { finish: Finish::Stop, .. } => "stop",
            Ending::Completed { finish: Finish::Length, .. } => "length",
            Ending::Unwanted { .. } => "abort",
            Ending::Failed(_) => "error",
        };
        self.watch.ended(outcome, reason, Instant::now());
    }
}
