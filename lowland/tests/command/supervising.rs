//! Tending real child processes: restarts, stopping in order and by force, and none left when the supervisor is killed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lowland::supervise::{
    child::{Spec, is_alive},
    tend::{Notice, tend},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything; longer than the grace that a stubborn child gets.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shell script kept alive by [`tend`]; its health is a socket of ours that always answers.
struct Tended {
    notices: mpsc::UnboundedReceiver<(String, Notice)>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

async fn always_well() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    url
}

async fn tended(script: &str) -> Tended {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("x.log");
    let spec = Spec {
        name: "x".into(),
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        health: always_well().await,
        log: log.clone(),
    };
    let (sender, notices) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let task = tokio::spawn(tend(spec, sender, stop.clone()));
    Tended { notices, stop, task, log, _dir: dir }
}

impl Tended {
    async fn next(&mut self) -> Notice {
        timeout(PATIENCE, self.notices.recv()).await.unwrap().unwrap().1
    }

    async fn until(&mut self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        loop {
            let notice = self.next().await;
            if wanted(&notice) {
                return notice;
            }
        }
    }

    /// Waits until its log holds so many lines.
    async fn has_printed(&self, lines: usize) {
        let printed = async {
            while fs::read_to_string(&self.log).unwrap_or_default().lines().count() < lines {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, printed).await.expect("it prints");
    }

    async fn ready(&mut self) -> u32 {
        match self.until(|notice| matches!(notice, Notice::Ready { .. })).await {
            Notice::Ready { pid, .. } => pid,
            other => unreachable!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_child_that_dies_is_started_again() {
    let mut tended = tended("echo begun; exec sleep 1000").await;
    let first = tended.ready().await;
    tended.has_printed(1).await;
    kill(first);
    let died = tended.until(|notice| matches!(notice, Notice::Died { .. })).await;
    assert!(
        matches!(&died, Notice::Died { how, was_ready: true, .. } if how.contains("signal: 9")),
        "{died:?}"
    );
    let second = tended.ready().await;
    assert_ne!(first, second);
    tended.has_printed(2).await;
    tended.stop.cancel();
    assert_eq!(
        tended.until(|notice| matches!(notice, Notice::Stopped { .. })).await,
        Notice::Stopped { asked: true }
    );
    tended.task.await.unwrap();
    assert!(!is_alive(second));
    assert_eq!(fs::read_to_string(&tended.log).unwrap(), "begun\nbegun\n");
}

#[tokio::test]
async fn a_child_that_cannot_start_is_tried_again_ever_later() {
    let mut tended = tended("echo no >&2; exit 3").await;
    let mut waits = Vec::new();
    while waits.len() < 3 {
        if let Notice::Died { how, again_in, .. } = tended.next().await {
            assert!(how.contains("exit status: 3"), "{how}");
            waits.push(again_in);
        }
    }
    assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
    tended.stop.cancel();
    tended.task.await.unwrap();
}

#[tokio::test]
async fn a_child_that_does_not_go_when_asked_is_killed() {
    let mut tended = tended("trap '' TERM; echo deaf; while :; do sleep 0.1; done").await;
    let pid = tended.ready().await;
    tended.has_printed(1).await;
    tended.stop.cancel();
    assert_eq!(
        tended.until(|notice| matches!(notice, Notice::Stopped { .. })).await,
        Notice::Stopped { asked: false }
    );
    assert!(!is_alive(pid));
}

fn kill(pid: u32) {
    assert!(lowland::supervise::child::signal(pid, libc::SIGKILL), "process {pid} is there");
}

/// Waits, bounded, until the process is gone.
pub(crate) fn gone(pid: u32) -> bool {
    let deadline = std::time::Instant::now() + PATIENCE;
    while is_running(pid) {
        if std::time::Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// An orphan's new parent may be slow to bury it: the dead don't count.
fn is_running(pid: u32) -> bool {
    let dead = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')));
    is_alive(pid) && !dead
}
