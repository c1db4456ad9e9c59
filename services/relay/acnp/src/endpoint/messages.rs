//! Messages in the making: one-shot streams that are read as they come, so that a whole one waits for no other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::proto::{Direction, StreamId, connection::Connection, stream::ReadError};

/// Bytes of unfinished messages that are kept; beyond, the youngest is stopped.
const UNFINISHED_BYTES_MAX: usize = 64 << 20;
/// Bytes of the longest message that is taken.
pub const MESSAGE_LEN_MAX: usize = 16 << 20;
/// The code with which a message that is too long is stopped.
pub const MESSAGE_TOO_LONG: u64 = 1;
/// The code with which a message is stopped when too many are unfinished.
pub const MESSAGES_TOO_MANY: u64 = 2;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// The messages of a connection that are on their way.
#[derive(Default)]
pub(super) struct Messages {
    unfinished: BTreeMap<StreamId, BytesMut>,
    /// Those of them of which there is more to read.
    readable: BTreeSet<StreamId>,
    whole: VecDeque<Bytes>,
    bytes: usize,
}

impl Messages {
    /// There is something to read of a stream; says whether it is a message.
    pub(super) fn on_readable(&mut self, id: StreamId) -> bool {
        let ours = self.unfinished.contains_key(&id);
        if ours {
            self.readable.insert(id);
        }
        ours || id.direction() == Direction::Uni
    }

    /// The next whole message, if there is one; says whether anything was read on the way.
    pub(super) fn next(&mut self, core: &mut Connection) -> (Option<Bytes>, bool) {
        if let Some(whole) = self.whole.pop_front() {
            return (Some(whole), false);
        }
        while let Some(id) = core.accept_stream(Direction::Uni) {
            self.unfinished.insert(id, BytesMut::new());
            self.readable.insert(id);
        }
        let mut read = false;
        while let Some(id) = self.readable.pop_first() {
            read = true;
            self.read(core, id);
            self.shed(core);
        }
        (self.whole.pop_front(), read)
    }

    /// Gives up the youngest while there is too much.
    fn shed(&mut self, core: &mut Connection) {
        while self.bytes > UNFINISHED_BYTES_MAX
            && let Some((id, content)) = self.unfinished.pop_last()
        {
            self.bytes -= content.len();
            self.readable.remove(&id);
            let _ = core.stop(id, MESSAGES_TOO_MANY);
        }
    }

    fn read(&mut self, core: &mut Connection, id: StreamId) {
        let Some(content) = self.unfinished.get_mut(&id) else { return };
        let before = content.len();
        let ended = loop {
            match core.read(id, CHUNK) {
                Ok(Some(data)) => content.extend_from_slice(&data),
                Ok(None) => break Some(true),
                Err(ReadError::Blocked) => break None,
                Err(_) => break Some(false),
            }
            if content.len() > MESSAGE_LEN_MAX {
                let _ = core.stop(id, MESSAGE_TOO_LONG);
                break Some(false);
            }
        };
        self.bytes += content.len() - before;
        if let Some(whole) = ended {
            let content = self.unfinished.remove(&id).unwrap_or_default();
            self.bytes -= content.len();
            if whole {
                self.whole.push_back(content.freeze());
            }
        }
    }
}
