//! One run: the path is opened, the far end started, the near end does its job, and everything is taken down again.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;

use super::{
    Contestant, Kind, Record, Task, Wire,
    child::Child,
    contestant::Template,
    listening::{self, last_lines},
    record::{jain, share, together},
};
use crate::{
    emulator::{Emulator, Family, Namespace, server_address},
    job::Job,
    outcome::Outcome,
    path::Path,
    peer::{Congestion, Peer, Settings},
};

/// Ports of the far end, of what stands behind a tunnel, of a tunnel's near end, and of the flow beside a contestant.
const SERVER_PORT: u16 = 4433;
const BEHIND_PORT: u16 = 7000;
const LOCAL_PORT: u16 = 7100;
const RIVAL_PORT: u16 = 4500;

/// How much longer than its job a client may take: to dial, and to end.
const SLACK: Duration = Duration::from_secs(35);

/// What every run needs.
#[derive(Debug, Clone)]
pub struct Bench {
    /// This command, which holds the ends of the peers.
    pub netlab: PathBuf,
    /// Key files for those who want one: private, public.
    pub keys: Option<(PathBuf, PathBuf)>,
    /// Version of the Internet Protocol.
    pub family: Family,
    /// The emulator's p99 of lateness beyond which a run counts as disturbed.
    pub late_max: Duration,
}

/// The processes of a run, which end with it.
#[derive(Default)]
struct Cast {
    far: Vec<Child>,
    near: Vec<Child>,
    /// Of the flow beside a contestant: their cost is not the contestant's.
    beside: Vec<Child>,
}

/// Runs `task` once.
///
/// # Errors
/// A path or an end that cannot be started. A job that fails is an outcome.
pub fn run_once(
    bench: &Bench,
    path: &Path,
    task: &Task,
    contestant: &Contestant,
    seed: u64,
) -> anyhow::Result<Record> {
    let emulator = Emulator::open(path, bench.family, seed)?;
    let stage = Stage { bench, path, task, emulator: &emulator };
    let mut cast = Cast::default();
    let client = stage.start_ends(contestant, &mut cast)?;
    let mut clients = (0..task.clients)
        .map(|_| Child::start(&client, emulator.client()))
        .collect::<io::Result<Vec<_>>>()?;
    let mut rival = stage.start_rival(&mut cast)?;
    let patience = task.job.patience() + SLACK;
    let outcomes: Vec<_> = clients.iter_mut().map(|child| outcome(child, patience)).collect();
    let rival_mbit = rival.as_mut().and_then(|child| outcome(child, patience).goodput_mbit);
    cast.near.append(&mut clients);
    let (cpu_client_s, cpu_server_s) = (cost(&mut cast.near), cost(&mut cast.far));
    let report = emulator.close().context("the emulator stopped")?;
    let mut outcome = together(&outcomes);
    outcome.content_bytes = outcome.content_bytes.or_else(|| task.job.content_bytes(&outcome));
    let shares: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.goodput_mbit).collect();
    let content = outcome.content_bytes.or(outcome.bytes).filter(|bytes| *bytes > 0);
    Ok(Record {
        path: path.name.clone(),
        job: task.name.clone(),
        peer: contestant.name.clone(),
        seed,
        attempt: 1,
        disturbed: report.disturbed(bench.late_max, 0),
        floor_ms: task.call().map(|(request, response)| path.floor(request, response).as_secs_f64() * 1e3),
        share: share(path, &outcome),
        jain: jain(&shares),
        rival_mbit,
        wire: Wire::of(&report, &outcome, task.rival),
        cpu_client_s,
        cpu_server_s,
        cpu_s_per_gb: content.map(|bytes| (cpu_client_s + cpu_server_s) * 1e9 / bytes as f64),
        outcome,
        emulator: report,
    })
}

struct Stage<'a> {
    bench: &'a Bench,
    path: &'a Path,
    task: &'a Task,
    emulator: &'a Emulator,
}

impl Stage<'_> {
    /// Starts everything but the clients, and returns a client's command line.
    fn start_ends(&self, contestant: &Contestant, cast: &mut Cast) -> anyhow::Result<Vec<String>> {
        let server = self.server(0, SERVER_PORT);
        match &contestant.kind {
            Kind::Peer(peer) => {
                self.far(self.own_server(*peer, server), SERVER_PORT, cast)?;
                Ok(self.own_client(*peer, server))
            }
            Kind::Command { server, client } => {
                self.far(self.fill(server)?, SERVER_PORT, cast)?;
                self.fill(client)
            }
            Kind::Tunnel { serve, connect, inner } => {
                let peer = Peer::Tcp(*inner);
                self.far(self.own_server(peer, local(BEHIND_PORT)), BEHIND_PORT, cast)?;
                self.far(self.fill(serve)?, SERVER_PORT, cast)?;
                let near = self.fill(connect)?;
                start(&near, self.emulator.client(), LOCAL_PORT, &mut cast.near)?;
                Ok(self.own_client(peer, local(LOCAL_PORT)))
            }
        }
    }

    fn start_rival(&self, cast: &mut Cast) -> anyhow::Result<Option<Child>> {
        if !self.task.rival {
            return Ok(None);
        }
        let (peer, server) = (Peer::Tcp(Congestion::Cubic), self.server(0, RIVAL_PORT));
        start(&self.own_server(peer, server), self.emulator.server(), RIVAL_PORT, &mut cast.beside)?;
        Ok(Some(Child::start(&self.own_client(peer, server), self.emulator.client())?))
    }

    fn far(&self, words: Vec<String>, port: u16, cast: &mut Cast) -> anyhow::Result<()> {
        start(&words, self.emulator.server(), port, &mut cast.far)
    }

    fn own_server(&self, peer: Peer, listen: SocketAddr) -> Vec<String> {
        self.own("server", peer, &format!("--listen={listen}"))
    }

    fn own_client(&self, peer: Peer, to: SocketAddr) -> Vec<String> {
        let mut words = self.own("client", peer, &format!("--to={to}"));
        words.extend(self.task.job.arguments());
        if let Job::Rpc(calls) = &self.task.job {
            words.push(format!("--connections={}", calls.connections));
        }
        words
    }

    fn own(&self, end: &str, peer: Peer, address: &str) -> Vec<String> {
        let netlab = self.bench.netlab.display().to_string();
        let mut words = vec![netlab, end.to_owned(), format!("--peer={peer}"), address.to_owned()];
        words.extend(Settings::of(self.path).arguments());
        words
    }

    fn fill(&self, template: &Template) -> anyhow::Result<Vec<String>> {
        let keys = self.bench.keys.as_ref();
        let file = |of: fn(&(PathBuf, PathBuf)) -> &PathBuf| {
            keys.map(|keys| of(keys).display().to_string()).unwrap_or_default()
        };
        let lines: Vec<_> = (0..self.path.lines.len().max(1))
            .map(|line| (format!("server{line}"), self.server(line, SERVER_PORT).to_string()))
            .collect();
        let mut values = BTreeMap::from([
            ("server", self.server(0, SERVER_PORT).to_string()),
            ("to", local(BEHIND_PORT).to_string()),
            ("local", local(LOCAL_PORT).to_string()),
            ("job", self.task.job.arguments().join(" ")),
            ("mode", self.task.mode().to_owned()),
            ("key", file(|keys| &keys.0)),
            ("pub", file(|keys| &keys.1)),
        ]);
        values.extend(lines.iter().map(|(place, address)| (place.as_str(), address.clone())));
        Ok(template.fill(&values))
    }

    fn server(&self, line: usize, port: u16) -> SocketAddr {
        let address = if self.path.is_loopback() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            server_address(self.bench.family, line)
        };
        (address, port).into()
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn start(words: &[String], namespace: &Namespace, port: u16, cast: &mut Vec<Child>) -> anyhow::Result<()> {
    let mut child = Child::start(words, namespace)?;
    listening::wait(&mut child, port)?;
    cast.push(child);
    Ok(())
}

/// Waits for a client's one line.
fn outcome(child: &mut Child, patience: Duration) -> Outcome {
    let Some(ended) = child.wait(patience) else {
        child.stop();
        return Outcome::failed(format!("no end after {} s", patience.as_secs()));
    };
    let said = child.said();
    match Outcome::find(&said.stdout) {
        Some(outcome) => outcome,
        None if ended.success => Outcome::failed("it printed no line of JSON"),
        None => Outcome::failed(last_lines(&said.stderr)),
    }
}

/// Ends processes and sums up their CPU seconds.
fn cost(children: &mut [Child]) -> f64 {
    children.iter_mut().filter_map(Child::stop).map(|ended| ended.cpu_s).sum()
}
