//! What carries datagrams: raw packets through pnet, a socket, or memory.
