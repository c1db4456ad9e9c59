//! Choosing ports on loopback.

use std::{io, net::TcpListener};

/// A port, and whether it is another than the preferred one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The port.
    pub port: u16,
    /// Whether the preferred one was taken.
    pub moved: bool,
}

/// Ports that are chosen together: none of them twice. Each is held until this is dropped; whoever binds it then must be
/// quick.
#[derive(Debug, Default)]
pub struct Ports(Vec<TcpListener>);

impl Ports {
    /// The preferred port if it is free, else any that is.
    pub fn choose(&mut self, preferred: u16) -> io::Result<Chosen> {
        if preferred != 0
            && let Ok(port) = self.hold(preferred)
        {
            return Ok(Chosen { port, moved: false });
        }
        Ok(Chosen { port: self.any()?, moved: preferred != 0 })
    }

    /// Any free port.
    pub fn any(&mut self) -> io::Result<u16> {
        self.hold(0)
    }

    fn hold(&mut self, port: u16) -> io::Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        self.0.push(listener);
        Ok(port)
    }
}

/// Whether nobody listens on the port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_left_alone() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let chosen = Ports::default().choose(port).unwrap();
        assert!(chosen.moved && chosen.port != port, "{chosen:?}");
    }

    #[test]
    fn no_port_is_given_out_twice() {
        let mut ports = Ports::default();
        let port = ports.any().unwrap();
        assert!(ports.choose(port).unwrap().moved);
    }
}
