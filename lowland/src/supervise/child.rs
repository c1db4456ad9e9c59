//! One child process: how it is started so that it cannot outlive us, and how it is stopped.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use super::output;

/// Time between asking a process to stop and making it.
pub const GRACE: Duration = Duration::from_secs(10);

/// How a process is started, each time anew.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name, as people and logs call it.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What is added to its environment.
    pub env: Vec<(String, OsString)>,
    /// URL that answers 200 when it is ready.
    pub health: String,
    /// File that takes what it prints.
    pub log: PathBuf,
}

/// A process that runs, with the tasks that copy what it prints.
pub struct Running {
    child: Child,
    copying: JoinHandle<()>,
    /// Its process id.
    pub pid: u32,
}

impl Spec {
    /// Starts it. To be called on the supervisor's main thread only: on Linux the child is bound to the thread that
    /// starts it, and dies with that.
    pub fn spawn(&self) -> io::Result<Running> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        bind_to_parent(&mut command);
        let mut child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        let copying = output::copy(child.stdout.take(), child.stderr.take(), self.log.clone());
        Ok(Running { child, copying, pid })
    }
}

impl Running {
    /// Waits until it ends by itself. Cancel-safe.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to stop, waits [`GRACE`], makes it. Returns whether it went when asked.
    pub async fn stop(mut self) -> bool {
        signal(self.pid, libc::SIGTERM);
        let asked = timeout(GRACE, self.child.wait()).await.is_ok();
        if !asked {
            let _ = self.child.kill().await;
        }
        self.copied().await;
        asked
    }

    /// Waits until what it printed is in its log; bounded, since a grandchild may hold the pipe open.
    pub async fn copied(self) {
        let _ = timeout(Duration::from_secs(1), self.copying).await;
    }
}

/// Has the kernel kill the child when its parent dies, even by SIGKILL. Elsewhere than on Linux there is no such call;
/// there the next `lowland up` finds and ends what is left.
#[cfg(target_os = "linux")]
fn bind_to_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: prctl, getppid and _exit are async-signal-safe, and nothing is allocated between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            if libc::getppid() as u32 != parent {
                libc::_exit(1); // the parent died before the call above
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn bind_to_parent(_command: &mut Command) {}

/// Sends a signal; whether there was such a process.
pub fn signal(pid: u32, signal: i32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    // SAFETY: kill takes plain numbers and touches no memory of ours.
    pid > 1 && unsafe { libc::kill(pid, signal) } == 0
}

/// Whether there is a process of that id.
pub fn is_alive(pid: u32) -> bool {
    signal(pid, 0)
}
