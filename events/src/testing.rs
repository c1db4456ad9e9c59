//! A real nats-server for tests: on a free port, in a folder of its own, gone when it is dropped.
//!
//! It runs as services expect one to run: JetStream with every write flushed before it is acknowledged.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The server that tests are held against.
const VERSION: &str = "2.15.1";
/// Longest wait for a server to take connections.
const START_MAX: Duration = Duration::from_secs(20);
/// How often a starting server is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A running nats-server. Dropping it ends the process and removes its folder.
pub struct NatsServer {
    folder: TempDir,
    extra: String,
    port: u16,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts a server without users.
    ///
    /// # Panics
    /// Where there is no nats-server, or it does not start: a test cannot go on then.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server with `extra` lines of configuration (users, limits).
    ///
    /// # Panics
    /// Where there is no nats-server, or it does not start: a test cannot go on then.
    #[must_use]
    pub fn start_with(extra: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self { folder, extra: extra.to_owned(), port: 0, child: None };
        server.run();
        server
    }

    /// Where to connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on; it stays the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the process as a crash does (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the process again, on the same port and folder; a running one is killed first.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    fn run(&mut self) {
        let binary = binary();
        let folder = self.folder.path();
        let config = folder.join("nats-server.conf");
        fs::write(&config, self.config(folder)).expect("the temporary folder can be written to");
        let log =
            fs::File::create(folder.join("stdout.log")).expect("the temporary folder can be written to");
        let mut child = Command::new(&binary)
            .arg("-c")
            .arg(&config)
            .arg("-l")
            .arg(folder.join("nats-server.log"))
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a file can be opened twice"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        let ports = folder.join(format!("nats-server_{}.ports", child.id()));
        self.port = wait_ready(&mut child, &ports, folder);
        self.child = Some(child);
    }

    fn config(&self, folder: &Path) -> String {
        // -1 lets the server choose a free port, which it writes to its ports file.
        let port = if self.port == 0 { -1 } else { i32::from(self.port) };
        let store = folder.join("jetstream");
        format!(
            "host: \"127.0.0.1\"\nport: {port}\nports_file_dir: {folder:?}\njetstream {{ store_dir: {store:?}, \
             sync_interval: always }}\n{}\n",
            self.extra
        )
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The nats-server to run: `$NATS_SERVER`, or the one in the cache folder.
fn binary() -> PathBuf {
    if let Some(path) = env::var_os("NATS_SERVER") {
        return path.into();
    }
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_default();
    let path = cache.join("lowland").join(format!("nats-server-{VERSION}")).join("nats-server");
    assert!(path.is_file(), "there is no {}; run: cargo run --release -- fetch", path.display());
    path
}

/// Waits for the ports file, which comes once the server listens.
fn wait_ready(child: &mut Child, ports: &Path, folder: &Path) -> u16 {
    let began = Instant::now();
    loop {
        if let Some(port) = fs::read_to_string(ports).ok().and_then(|text| listening_port(&text)) {
            return port;
        }
        let ended: io::Result<Option<_>> = child.try_wait();
        let said = || fs::read_to_string(folder.join("nats-server.log")).unwrap_or_default();
        assert!(matches!(ended, Ok(None)), "nats-server ended at once: {}", said());
        if began.elapsed() > START_MAX {
            let _ = child.kill();
            let _ = child.wait();
            panic!("nats-server does not listen after {} s: {}", START_MAX.as_secs(), said());
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

fn listening_port(ports: &str) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(ports).ok()?;
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_files_are_read() {
        assert_eq!(listening_port(r#"{"nats":["nats://127.0.0.1:4711"]}"#), Some(4711));
        assert_eq!(listening_port(r#"{"nats":["#), None, "half written");
    }
}
