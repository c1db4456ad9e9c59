//! A network namespace without a name: held by a descriptor, gone with its last holder.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
    os::unix::process::CommandExt,
    process::Command,
    thread,
};

/// A network namespace of our own.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// A namespace in which nothing is set up.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN.
    pub fn fresh() -> io::Result<Self> {
        // On a thread of its own, so that nobody else moves house.
        let fd = on_thread(|| {
            // SAFETY: takes no pointers, and concerns this thread alone.
            check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            File::open("/proc/thread-self/ns/net")
        })?;
        Ok(Self { fd: fd.into() })
    }

    /// Does something inside, on a thread that ends with it.
    ///
    /// # Errors
    /// What `inside` returns, or the refusal to enter.
    pub fn within<T: Send>(&self, inside: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_thread(|| {
            enter(self.fd.as_raw_fd())?;
            inside()
        })
    }

    /// Makes `command` run inside, and end when the thread that starts it ends.
    pub fn place(&self, command: &mut Command) {
        let fd = self.fd.as_raw_fd();
        // SAFETY: between fork and exec only system calls that are async-signal-safe are made, on a descriptor that
        // `self` holds open; nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                enter(fd)?;
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))
            });
        }
    }

    /// The command line by which a shell enters, while this process lives.
    pub fn entry(&self) -> String {
        format!("nsenter --net=/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }
}

fn on_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        scope.spawn(work).join().map_err(|_| io::Error::other("a thread in a namespace panicked"))?
    })
}

fn enter(fd: i32) -> io::Result<()> {
    // SAFETY: takes no pointers, and concerns this thread alone.
    check(unsafe { libc::setns(fd, libc::CLONE_NEWNET) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
