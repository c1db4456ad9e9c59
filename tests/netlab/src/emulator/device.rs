//! A TUN device: its packets are read from and written to a descriptor.

use std::{
    ffi::c_char,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
};

/// A TUN device of the namespace in which it was opened; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Device {
    file: File,
}

impl Device {
    /// Opens a device of this name in the calling thread's namespace.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        // SAFETY: an all-zero `ifreq` is a valid value of it.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
            *to = from as c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
        // SAFETY: the descriptor is open and the request lives through the call.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { file })
    }

    /// The next packet that the namespace sent; `None` if none waits.
    pub(super) fn take(&self, buffer: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(buffer[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a packet to the namespace. One that it refuses (a turned bit in the header's version) is lost.
    pub(super) fn give(&self, packet: &[u8]) -> bool {
        (&self.file).write(packet).is_ok()
    }

    pub(super) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
