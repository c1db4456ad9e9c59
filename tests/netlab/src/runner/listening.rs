//! Whether a process listens yet, told from its namespace's tables: any server will do, whatever it prints.

use std::{fs, io, thread, time::Duration, time::Instant};

use super::child::Child;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(5);

/// State of a TCP socket that listens, as the kernel's table has it.
const LISTENS: &str = "0A";

/// Waits until somebody in `child`'s namespace listens at `port`, over UDP or TCP.
pub(super) fn wait(child: &mut Child, port: u16) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        if child.ended().is_some() {
            let said = child.said();
            let text = format!("`{}` ended before it listened: {}", child.what(), last_lines(&said.stderr));
            return Err(io::Error::other(text));
        }
        if listens(child.id(), port) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(io::Error::other(format!(
                "`{}` did not listen at port {port} in time",
                child.what()
            )));
        }
        thread::sleep(POLL);
    }
}

fn listens(process: u32, port: u16) -> bool {
    let table = |name: &str| fs::read_to_string(format!("/proc/{process}/net/{name}")).unwrap_or_default();
    ["udp", "udp6"].iter().any(|name| bound(&table(name), port, None))
        || ["tcp", "tcp6"].iter().any(|name| bound(&table(name), port, Some(LISTENS)))
}

fn bound(table: &str, port: u16, state: Option<&str>) -> bool {
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).any(|row| {
        let mut columns = row.split_whitespace();
        let local = columns.nth(1).is_some_and(|local| local.ends_with(&wanted));
        local && state.is_none_or(|state| columns.nth(1) == Some(state))
    })
}

/// The end of what a process complained of.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    let from = lines.len().saturating_sub(3);
    if lines.is_empty() { "it said nothing".to_owned() } else { lines[from..].join(" / ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue\n\
        0: 0100007F:1B58 00000000:0000 0A 00000000\n\
        1: 0100007F:1B59 0100007F:9999 01 00000000\n";

    #[test]
    fn a_port_is_found_in_its_state() {
        assert!(bound(TABLE, 7000, Some(LISTENS)) && bound(TABLE, 7000, None));
        assert!(!bound(TABLE, 7001, Some(LISTENS)) && bound(TABLE, 7001, None));
        assert!(!bound(TABLE, 0x9999, None));
    }
}
