//! Full disks. When a write fails, nats-server (2.15.1) loses nothing that it had acknowledged, but refuses every further
//! append to that stream until it is started again, room or no room; its health says so. So: say when room gets short,
//! say when it is out, and start the server again once there is room. The decision is pure.

use std::time::Duration;

use super::health;

/// Less free space than this is said, in bytes.
pub const SHORT_BYTES: u64 = 256 << 20;
/// So much must be free before a server that failed is started again, in bytes.
pub const ROOM_BYTES: u64 = 64 << 20;
/// How often it is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What the server's health says after a failed write.
const WRITE_FAILED: &str = "write error";

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Free space for the data folder, in bytes.
    pub free: u64,
    /// Whether the server's health says that a write failed.
    pub write_failed: bool,
}

/// How it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// There is room.
    #[default]
    Room,
    /// Little is left.
    Short,
    /// Appends fail, and there is no room.
    Full,
    /// Appends fail, and there is room: the server wants a restart.
    Mendable,
}

impl Seen {
    /// How it stands.
    pub fn standing(self) -> Standing {
        match (self.write_failed, self.free) {
            (true, free) if free >= ROOM_BYTES => Standing::Mendable,
            (true, _) => Standing::Full,
            (false, free) if free < SHORT_BYTES => Standing::Short,
            (false, _) => Standing::Room,
        }
    }
}

/// Whether the server's health says that a write failed.
pub async fn write_failed(client: &reqwest::Client, health: &str) -> bool {
    health::problem(client, health).await.is_some_and(|text| text.contains(WRITE_FAILED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_started_again_only_when_there_is_room() {
        let standing = |free, write_failed| Seen { free, write_failed }.standing();
        assert_eq!(standing(SHORT_BYTES, false), Standing::Room);
        assert_eq!(standing(SHORT_BYTES - 1, false), Standing::Short);
        assert_eq!(standing(0, true), Standing::Full);
        assert_eq!(standing(ROOM_BYTES, true), Standing::Mendable);
    }
}
