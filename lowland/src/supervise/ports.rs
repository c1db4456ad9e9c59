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

/// The preferred port if it is free, else any that is. It is free now; whoever binds it next must be quick.
pub fn choose(preferred: u16) -> io::Result<Chosen> {
    if preferred != 0 && is_free(preferred) {
        return Ok(Chosen { port: preferred, moved: false });
    }
    Ok(Chosen { port: any()?, moved: preferred != 0 })
}

/// Any free port.
pub fn any() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
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
        let chosen = choose(port).unwrap();
        assert!(chosen.moved && chosen.port != port, "{chosen:?}");
    }
}
