//! The receiving part of a stream.

use bytes::Bytes;

use super::{assembler::Assembler, flow::Window};
use crate::proto::close::{Code, Violation};

/// Why nothing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is nothing yet; an event tells when there is.
    #[error("nothing to read yet")]
    Blocked,
    /// The peer gave the stream up, with this code of its application's.
    #[error("the peer reset the stream with code {0}")]
    Reset(u64),
    /// The stream was read to its end or stopped, or does not exist.
    #[error("the stream is closed")]
    Closed,
}

/// A stream that this side receives on.
#[derive(Debug)]
pub(super) struct ReceiveStream {
    assembler: Assembler,
    pub(super) window: Window,
    /// The largest offset seen: what counts against the connection's limit.
    highest: u64,
    final_size: Option<u64>,
    reset: Option<u64>,
    /// The application wants no more, for this reason.
    pub(super) stopped: Option<u64>,
}

/// What a frame changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Bytes that count anew against the connection's limit.
    pub(super) counted: u64,
    /// Bytes that the application will never read, and the connection's window takes for consumed.
    pub(super) dropped: u64,
    /// There is something new to read: data, the end, or a reset.
    pub(super) readable: bool,
}

impl ReceiveStream {
    pub(super) fn new(window: u64) -> Self {
        Self {
            assembler: Assembler::default(),
            window: Window::new(window),
            highest: 0,
            final_size: None,
            reset: None,
            stopped: None,
        }
    }

    pub(super) fn pieces(&self) -> usize {
        self.assembler.pieces()
    }

    pub(super) const fn final_size_known(&self) -> bool {
        self.final_size.is_some()
    }

    /// Bytes by which data up to `end` exceeds what was seen.
    pub(super) const fn growth(&self, end: u64) -> u64 {
        end.saturating_sub(self.highest)
    }

    /// # Errors
    /// The data or its end contradicts what was said before, or was not granted.
    pub(super) fn on_data(&mut self, offset: u64, end: bool, data: Bytes) -> Result<Change, Violation> {
        let top = offset + data.len() as u64;
        self.check(top, end)?;
        let counted = self.growth(top);
        self.highest = self.highest.max(top);
        if self.reset.is_some() || self.stopped.is_some() {
            if end {
                self.final_size = Some(top);
            }
            return Ok(Change { counted, dropped: counted, readable: false });
        }
        let before = (self.assembler.ready_end(), self.at_end());
        if end {
            self.final_size = Some(top);
        }
        self.assembler.insert(offset, data);
        Ok(Change { counted, dropped: 0, readable: (self.assembler.ready_end(), self.at_end()) != before })
    }

    fn check(&self, top: u64, end: bool) -> Result<(), Violation> {
        self.window.check(top)?;
        let contradicts = match self.final_size {
            Some(size) => top > size || (end && top != size),
            None => end && top < self.highest,
        };
        if contradicts {
            return Err(Violation::new(Code::FINAL_SIZE, "data and final size contradict each other"));
        }
        Ok(())
    }

    /// # Errors
    /// The final size contradicts what was said before, or was not granted.
    pub(super) fn on_reset(&mut self, code: u64, final_size: u64) -> Result<Change, Violation> {
        self.check(final_size, true)?;
        let counted = self.growth(final_size);
        self.highest = final_size;
        // What was read to its end, or is there to be, stays so.
        let settled = self.reset.is_some() || self.at_end();
        self.final_size = Some(final_size);
        if settled {
            return Ok(Change { counted, ..Change::default() });
        }
        let dropped =
            if self.stopped.is_some() { counted } else { final_size - self.assembler.read_offset() };
        self.reset = Some(code);
        self.assembler.clear();
        Ok(Change { counted, dropped, readable: self.stopped.is_none() })
    }

    /// Whether everything up to the end is there.
    fn at_end(&self) -> bool {
        self.final_size == Some(self.assembler.ready_end())
    }

    /// The next data, at most `max` bytes; `None` at the end.
    pub(super) fn read(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        if self.stopped.is_some() {
            return Err(ReadError::Closed);
        }
        if let Some(code) = self.reset {
            return Err(ReadError::Reset(code));
        }
        match self.assembler.read(max) {
            Some(data) => Ok(Some(data)),
            None if self.at_end() => Ok(None),
            None => Err(ReadError::Blocked),
        }
    }

    /// Drops what is there and what will come. Gives the bytes that are taken for consumed by that.
    pub(super) fn stop(&mut self, code: u64) -> u64 {
        let unread = if self.reset.is_some() { 0 } else { self.highest - self.assembler.read_offset() };
        self.stopped = Some(code);
        self.assembler.clear();
        unread
    }
}
