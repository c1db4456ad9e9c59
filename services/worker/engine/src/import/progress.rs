//! How far an import is, for whoever shows it.

/// Reports come at most once for this many weights, so that a callback may draw.
const WEIGHTS_BETWEEN_REPORTS: u64 = 1_000_000;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of it is done; weights when they are converted, otherwise files.
    pub done: u64,
    /// How much there is of it.
    pub total: u64,
}

/// What an import does, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The tokenizer is being made.
    Tokenizer,
    /// Weights are decoded and written.
    Weights,
    /// Files are linked or copied.
    Files,
    /// The folder is complete and being put in its place.
    Finishing,
}

/// Counts work and reports it now and then.
pub(crate) struct Meter<'f> {
    report: &'f mut dyn FnMut(Progress),
    progress: Progress,
    reported: u64,
}

impl<'f> Meter<'f> {
    pub(crate) fn new(report: &'f mut dyn FnMut(Progress)) -> Self {
        Meter { report, progress: Progress { stage: Stage::Tokenizer, done: 0, total: 1 }, reported: 0 }
    }

    /// Begins a stage of `total` units.
    pub(crate) fn begin(&mut self, stage: Stage, total: u64) {
        self.progress = Progress { stage, done: 0, total };
        self.now();
    }

    /// `count` more units are done.
    pub(crate) fn advance(&mut self, count: usize) {
        self.progress.done = (self.progress.done + count as u64).min(self.progress.total);
        let complete = self.progress.done == self.progress.total;
        if complete || self.progress.done - self.reported >= WEIGHTS_BETWEEN_REPORTS {
            self.now();
        }
    }

    fn now(&mut self) {
        self.reported = self.progress.done;
        (self.report)(self.progress);
    }
}
