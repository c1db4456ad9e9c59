//! Commands that end in time, or are ended.

use std::{
    fs::File,
    io::{self, Read, Seek},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What became of a command.
pub struct Outcome {
    /// How it ended; nothing, if it had to be killed.
    pub status: Option<ExitStatus>,
    /// What it printed, to either stream, in order.
    pub output: String,
}

impl Outcome {
    /// Whether it ended well and in time.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs `command` to its end, at most for `limit`.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Outcome> {
    let mut printed = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(duplicate(&printed)?).stderr(duplicate(&printed)?);
    let mut child = command.spawn()?;
    let status = ended_within(&mut child, limit);
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    printed.rewind()?;
    let mut bytes = Vec::new();
    printed.read_to_end(&mut bytes)?;
    Ok(Outcome { status, output: String::from_utf8_lossy(&bytes).into_owned() })
}

fn duplicate(file: &File) -> io::Result<Stdio> {
    Ok(Stdio::from(file.try_clone()?))
}

/// How `child` ended, if it did within `limit`.
pub fn ended_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => sleep(LOOK),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Outcome {
        run(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn what_ends_says_how_and_what() {
        let ended = shell("echo out; echo err >&2; exit 3", Duration::from_secs(60));
        assert_eq!((ended.status.unwrap().code(), ended.output.as_str()), (Some(3), "out\nerr\n"));
        assert!(!ended.succeeded());
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let ended = shell("echo begun; exec sleep 600", Duration::from_millis(500));
        assert!(ended.status.is_none() && ended.output == "begun\n");
    }
}
