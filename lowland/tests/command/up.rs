//! `lowland up` and its companions as real processes: everything but workers, which other suites run.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use lowland::{
    folders::Data,
    supervise::{
        child::{is_alive, signal},
        state::{self, Up},
    },
};

use crate::{bus::nats_server, supervising::gone};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A price for whatever model there is.
const PRICES: &str = r#"
currency = "EUR"
[[version]]
id = "test"
effective = "2026-01-01T00:00:00Z"
[version.models."*"]
input_tokens = "1"
output_tokens = "2"
"#;

/// A Lowland of this test's own.
struct Lowland {
    dir: tempfile::TempDir,
    supervisor: Option<Child>,
}

impl Lowland {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), supervisor: None }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The command, with a data folder of its own and no default ports.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lowland"));
        for name in ["LOWLAND_NATS_URL", "LOWLAND_MODELS", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        command
            .args(args)
            .env("LOWLAND_DATA", self.data())
            .env("NATS_SERVER", nats_server())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts it without workers and reads the one line.
    fn up(&mut self) -> Up {
        self.up_with(&["--workers", "0"])
    }

    fn up_with(&mut self, more: &[&str]) -> Up {
        let (port, nats_port) = (free_port(), free_port());
        let args = [&["up", "--json", "--port", &port, "--nats-port", &nats_port], more].concat();
        let errors = std::fs::File::create(self.dir.path().join("stderr")).unwrap();
        let mut supervisor = self.command(&args).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            panic!("no line; it ended with {:?}\n{}", supervisor.wait(), self.stderr());
        }
        self.supervisor = Some(supervisor);
        serde_json::from_str(&line).unwrap()
    }

    fn stderr(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    fn state(&self) -> Option<Up> {
        state::read(&Data::at(self.data()))
    }
}

impl Drop for Lowland {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
    }
}

fn free_port() -> String {
    lowland::supervise::ports::Ports::default().any().unwrap().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn up_says_where_everything_is_and_down_stops_it() {
    let mut lowland = Lowland::new();
    let up = lowland.up();
    let names: Vec<&String> = up.pids.keys().collect();
    assert_eq!(names, ["billing", "gateway", "nats", "scheduler"]);
    assert_eq!(up.health.keys().collect::<Vec<_>>(), names);
    assert!(up.pids.values().all(|pid| is_alive(*pid)));
    assert!(up.gateway_url.is_some() && up.api_key.starts_with("sk-lowland-"));
    assert_eq!(mode(&up.data.join("run/up.json")), 0o600);
    assert_eq!(mode(&up.data.join("run/nats.conf")), 0o600);

    let again = lowland.run(&["up"]);
    assert!(
        !again.status.success() && text(&again.stderr).contains("running already"),
        "{}",
        text(&again.stderr)
    );
    let reset = lowland.run(&["reset", "--yes"]);
    assert!(
        !reset.status.success() && text(&reset.stderr).contains("lowland down"),
        "{}",
        text(&reset.stderr)
    );
    let status = lowland.run(&["status", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(status.status.success() && told["running"] == true, "{told}");

    assert!(lowland.run(&["down"]).status.success());
    assert!(up.pids.values().all(|pid| gone(*pid)));
    assert!(lowland.supervisor.take().unwrap().wait().unwrap().success());
    assert_eq!(lowland.run(&["status"]).status.code(), Some(3));
    assert!(lowland.run(&["reset", "--yes"]).status.success());
    assert!(!lowland.data().exists());
}

#[test]
fn what_dies_is_started_again_and_said() {
    let mut lowland = Lowland::new();
    let up = lowland.up();
    for name in ["scheduler", "nats"] {
        let before = lowland.state().unwrap().pids[name];
        assert!(signal(before, libc::SIGKILL));
        until(&format!("{name} has another process"), || {
            lowland.state().is_some_and(|up| up.pids.get(name).is_some_and(|pid| *pid != before))
        });
        until(&format!("it is said that {name} died"), || {
            lowland.stderr().lines().any(|line| line.starts_with(name) && line.contains("died"))
        });
    }
    until("all are ready again", || lowland.run(&["status"]).status.success());
    assert_eq!(lowland.state().unwrap().nats_url, up.nats_url, "on the same port");
    assert!(lowland.run(&["down"]).status.success());
}

#[test]
fn no_orphan_is_left_when_the_supervisor_is_killed() {
    let mut lowland = Lowland::new();
    let first = lowland.up();
    let mut supervisor = lowland.supervisor.take().unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    if cfg!(target_os = "linux") {
        assert!(first.pids.values().all(|pid| gone(*pid)), "{:?}", first.pids);
    }
    assert_eq!(lowland.run(&["status"]).status.code(), Some(3), "it is not taken for running");
    let second = lowland.up();
    assert!(lowland.stderr().contains("cut off"), "{}", lowland.stderr());
    assert!(first.pids.values().all(|pid| gone(*pid)));
    assert_eq!(second.api_key, first.api_key, "keys are kept");
    assert!(lowland.run(&["down"]).status.success());
}

/// What people type, with an echo in the model's place.
#[test]
fn a_job_goes_all_the_way() {
    let mut lowland = Lowland::new();
    std::fs::create_dir_all(lowland.data()).unwrap();
    std::fs::write(lowland.data().join("prices.toml"), PRICES).unwrap();
    lowland.up_with(&["--models", "echo:parrot", "--workers", "2"]);
    let submit =
        lowland.run(&["submit", "--model", "parrot", "--max-tokens", "50", "--events", "one two three"]);
    let told = text(&submit.stdout);
    assert!(submit.status.success(), "{told}{}", text(&submit.stderr));
    assert!(told.starts_with("one two three"), "{told}");
    for event in ["job submitted", "account hold_placed", "job assigned", "job completed", "account charged"]
    {
        assert!(told.contains(event), "{event} in {told}");
    }
    let chat = lowland.run(&["chat", "--model", "parrot", "four five"]);
    assert!(text(&chat.stdout).contains("four five"), "{}{}", text(&chat.stdout), text(&chat.stderr));
    let bad = lowland.run(&["submit", "--model", "nobody", "hello"]);
    assert!(
        !bad.status.success() && text(&bad.stderr).contains("\"nobody\" is not known"),
        "{}",
        text(&bad.stderr)
    );

    let topped_up = lowland.run(&["topup", "demo", "2.5", "--id", "t1"]);
    assert!(topped_up.status.success(), "{}", text(&topped_up.stderr));
    let statement: serde_json::Value =
        serde_json::from_slice(&lowland.run(&["balance", "demo", "--json"]).stdout).unwrap();
    assert_eq!(
        (&statement["topped_up"], &statement["charges"]),
        (&"12500000".into(), &2.into()),
        "{statement}"
    );
    assert!(text(&lowland.run(&["invoice"]).stdout).contains("2 completed"));
    assert!(text(&lowland.run(&["logs", "worker-w2"]).stdout).contains("lowland_worker"));
    assert!(lowland.run(&["down"]).status.success());
}

#[test]
fn a_data_folder_that_is_none_is_not_removed() {
    let lowland = Lowland::new();
    std::fs::create_dir_all(lowland.data()).unwrap();
    std::fs::write(lowland.data().join("thesis.txt"), "years of work").unwrap();
    let reset = lowland.run(&["reset", "--yes"]);
    assert!(!reset.status.success() && text(&reset.stderr).contains("thesis.txt"), "{}", text(&reset.stderr));
    assert!(lowland.data().join("thesis.txt").exists());
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
    let lowland = Lowland::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = lowland.run(&["up", "--workers", "0", "--nats-port", &port]);
    assert!(
        !output.status.success() && text(&output.stderr).contains("is taken"),
        "{}",
        text(&output.stderr)
    );
}
