//! What a supervisor left behind that was killed where the kernel does not end its children with it.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{
    child::{is_alive, signal},
    state,
};
use crate::folders::Data;

/// Time such a process has to go before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(50);

/// Ends what an earlier run left; needs the lock. Returns what it was, by name; none when that run ended in order.
pub fn clear(data: &Data) -> Option<Vec<String>> {
    let up = state::read(data)?;
    let folder = data.root().display().to_string();
    let left: Vec<(String, u32)> = up.pids.into_iter().filter(|(_, pid)| is_ours(*pid, &folder)).collect();
    for (_, pid) in &left {
        end(*pid);
    }
    state::withdraw(data);
    Some(left.into_iter().map(|(name, _)| name).collect())
}

/// Whether the process was started for this data folder: ids are used again, and nobody else's process is touched.
fn is_ours(pid: u32, folder: &str) -> bool {
    is_alive(pid) && command_line(pid).is_some_and(|line| line.contains(folder))
}

fn command_line(pid: u32) -> Option<String> {
    if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let output = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn end(pid: u32) {
    signal(pid, libc::SIGTERM);
    let deadline = Instant::now() + GRACE;
    while is_alive(pid) && Instant::now() < deadline {
        thread::sleep(POLL);
    }
    signal(pid, libc::SIGKILL);
}
