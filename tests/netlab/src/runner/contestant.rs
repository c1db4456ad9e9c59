//! Who is measured: a peer of this lab, a command that prints the same JSON line, or a tunnel that TCP goes through.
//!
//! Commands are templates: `{server}` is the address at which the far end listens and which the near end dials, `{job}`
//! the job with its figures as `netlab client` takes them, `{local}` the TCP address at which a tunnel listens, `{to}` the one
//! that it leads to, `{key}` and `{pub}` files of a key pair, `{mode}` `latency` or `bandwidth` by the job, `{server1}` the
//! server's address on the path's second line, and so on.

use std::{collections::BTreeMap, fmt};

use crate::peer::{Congestion, PEERS, Peer};

/// Between the two halves of a contestant's commands.
const BETWEEN: &str = ";;";

/// Somebody to be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Contestant {
    /// As it stands in tables.
    pub name: String,
    /// How it is started.
    pub kind: Kind,
}

/// How a contestant is started.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// By this lab's own ends.
    Peer(Peer),
    /// By two commands, of which the client's prints an outcome.
    Command {
        /// The far end.
        server: Template,
        /// The near end.
        client: Template,
    },
    /// By two commands that carry TCP connections, with this lab's TCP ends beside them.
    Tunnel {
        /// The far end.
        serve: Template,
        /// The near end.
        connect: Template,
        /// What the TCP ends use; on the loopback device it hardly matters.
        inner: Congestion,
    },
}

/// A command with places to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<String>);

impl Template {
    /// Words separated by spaces; quotes are not understood.
    pub fn new(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// The words, each place filled from `values`. A word that is nothing but a place becomes as many words as its value has.
    pub fn fill(&self, values: &BTreeMap<&str, String>) -> Vec<String> {
        let mut words = Vec::new();
        for word in &self.0 {
            let place = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
            if let Some(value) = place.and_then(|place| values.get(place)) {
                words.extend(value.split_whitespace().map(str::to_owned));
                continue;
            }
            let fill =
                |word: String, (place, value): (&&str, &String)| word.replace(&format!("{{{place}}}"), value);
            words.push(values.iter().fold(word.clone(), fill));
        }
        words
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The contestants that need no description: the peers, and ACNP as a measuring command and as a tunnel; `acnp` is the
/// command line that its subcommands are added to, such as `lowland acnp`.
pub fn builtin(acnp: &str) -> Vec<Contestant> {
    let peers =
        PEERS.iter().map(|(name, peer)| Contestant { name: (*name).to_owned(), kind: Kind::Peer(*peer) });
    let command = |name: &str, server: &str, client: &str| Contestant {
        name: name.to_owned(),
        kind: Kind::Command {
            server: Template::new(&format!("{acnp} {server}")),
            client: Template::new(&format!("{acnp} {client}")),
        },
    };
    let tunnel = |name: &str, serve: &str, connect: &str| Contestant {
        name: name.to_owned(),
        kind: Kind::Tunnel {
            serve: Template::new(&format!("{acnp} {serve}")),
            connect: Template::new(&format!("{acnp} {connect}")),
            inner: Congestion::Cubic,
        },
    };
    let serve = "serve --listen {server} --to {to} --key {key}";
    let connect = "connect --listen {local} --peer {server} --server-key {pub} --mode auto";
    let server = "perf server --listen {server} --key {key}";
    let client = "perf client --peer {server} --server-key {pub}";
    peers
        .chain([
            command("acnp", server, &format!("{client} {{job}}")),
            command("acnp-raw", &format!("{server} --wire raw"), &format!("{client} --wire raw {{job}}")),
            command(
                "acnp-socket",
                &format!("{server} --wire socket"),
                &format!("{client} --wire socket {{job}}"),
            ),
            tunnel("acnp-tunnel", serve, connect),
        ])
        .collect()
}

/// A contestant described on the command line: `NAME=perf:SERVER ;; CLIENT` or `NAME=tunnel:SERVE ;; CONNECT`.
///
/// # Errors
/// What is missing.
pub fn described(text: &str) -> Result<Contestant, String> {
    let form = || {
        format!("`{text}`: write NAME=perf:SERVER {BETWEEN} CLIENT or NAME=tunnel:SERVE {BETWEEN} CONNECT")
    };
    let (name, rest) = text.split_once('=').ok_or_else(form)?;
    let (kind, commands) = rest.split_once(':').ok_or_else(form)?;
    let (far, near) = commands.split_once(BETWEEN).ok_or_else(form)?;
    let (far, near) = (Template::new(far), Template::new(near));
    let kind = match kind {
        "perf" => Kind::Command { server: far, client: near },
        "tunnel" => Kind::Tunnel { serve: far, connect: near, inner: Congestion::Cubic },
        _ => return Err(form()),
    };
    Ok(Contestant { name: name.trim().to_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_a_job_becomes_words() {
        let values =
            BTreeMap::from([("server", "10.0.0.2:9".to_owned()), ("job", "rpc --rate=50".to_owned())]);
        let words = Template::new("perf --peer={server} {job} {other}").fill(&values);
        assert_eq!(words, ["perf", "--peer=10.0.0.2:9", "rpc", "--rate=50", "{other}"]);
    }

    #[test]
    fn a_description_names_its_two_commands() {
        let tunnel =
            described("kcptun=tunnel:server -l {server} -t {to} ;; client -l {local}").expect("a tunnel");
        assert_eq!(tunnel.name, "kcptun");
        assert!(matches!(tunnel.kind, Kind::Tunnel { .. }));
        for text in ["kcptun", "a=perf:one", "a=pipe:one ;; two"] {
            assert!(described(text).is_err_and(|error| error.contains("NAME=")), "{text}");
        }
    }
}
