//! Receives frames: a descriptor of AF_PACKET for each family, over all interfaces at once.
//!
//! The descriptor is bound to no interface, so that interfaces which appear later count too, and a packet that passes a bond, a
//! bridge or a VLAN is seen once, where it arrives at IP. It hears one EtherType, and the kernel delivers to such a descriptor only
//! what was received, not what this host sends. Each frame comes with `struct virtio_net_hdr`, for senders on this machine and
//! offloading devices deliver many datagrams in one, and with the offset of its IP header.

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd},
    task::{Context, Poll, ready},
};

use pnet_datalink::{ChannelType, Config, NetworkInterface};
use socket2::{Domain, Protocol, Type};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Family, filter,
    frame::{self, Capture, Parsed},
};
use crate::wire::{
    Inbox,
    inbox::{Arrival, INBOX_SLOTS},
    system::{self, set_option},
};

/// Options of AF_PACKET (linux/if_packet.h).
const SOL_PACKET: libc::c_int = 263;
const PACKET_AUXDATA: libc::c_int = 8;
const PACKET_VNET_HDR: libc::c_int = 15;

/// `struct virtio_net_hdr`, which stands before each frame.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct VirtioNetHeader {
    flags: u8,
    gso_type: u8,
    header_length: u16,
    gso_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

/// `struct tpacket_auxdata`, which comes beside each frame.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct AuxiliaryData {
    status: u32,
    length: u32,
    captured: u32,
    link: u16,
    network: u16,
    vlan: u16,
    vlan_protocol: u16,
}

/// Room for one control message that holds [`AuxiliaryData`], aligned as such messages are.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 48]);

/// A descriptor that receives one family.
pub(super) struct Receiver {
    descriptor: AsyncFd<OwnedFd>,
    port: u16,
}

impl Receiver {
    /// Opens the descriptor. It hears nothing until its filter is in place: it has no protocol before pnet binds it.
    pub(super) fn open(family: Family, local: Option<std::net::IpAddr>, port: u16) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        set_option(&socket, SOL_PACKET, PACKET_VNET_HDR, &1)?;
        set_option(&socket, SOL_PACKET, PACKET_AUXDATA, &1)?;
        system::enlarge_queues(&socket);
        filter::attach(&socket, &filter::datagrams_to(family, local, port))?;
        bind(&socket, family)?;
        let descriptor = system::watch(OwnedFd::from(socket), Interest::READABLE)?;
        Ok(Receiver { descriptor, port })
    }

    pub(super) fn overflowed(&self) -> u64 {
        system::queue_drops(&self.descriptor)
    }

    /// Fills the inbox, and returns how many frames it refused.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.descriptor.poll_read_ready(cx))?;
            if let Ok(received) = guard.try_io(|descriptor| self.recv(descriptor, inbox)) {
                return Poll::Ready(received);
            }
        }
    }

    fn recv(&self, descriptor: &impl AsRawFd, inbox: &mut Inbox) -> io::Result<usize> {
        let mut frames = Frames::default();
        let count = frames.receive(descriptor, inbox)?;
        let parsed = (0..count).filter(|slot| {
            let parsed =
                frames.parse(*slot, inbox.slot(*slot)).filter(|parsed| parsed.local.port() == self.port);
            parsed.is_some_and(|parsed| {
                inbox.fill(*slot, arrival(parsed));
                true
            })
        });
        Ok(count - parsed.count())
    }
}

/// Lets pnet bind the descriptor to the family's EtherType and make it non-blocking. pnet closes what it is given, so it is given a
/// second name of the same descriptor.
fn bind(socket: &socket2::Socket, family: Family) -> io::Result<()> {
    let every = NetworkInterface {
        name: String::new(),
        description: String::new(),
        index: 0,
        mac: None,
        ips: Vec::new(),
        flags: 0,
    };
    let config = Config {
        channel_type: ChannelType::Layer3(family.ethertype()),
        promiscuous: false,
        socket_fd: Some(socket.try_clone()?.into_raw_fd()),
        ..Config::default()
    };
    pnet_datalink::channel(&every, config).map(drop)
}

/// What one call receives beside the frames themselves.
struct Frames {
    offloads: [VirtioNetHeader; INBOX_SLOTS],
    controls: [Control; INBOX_SLOTS],
    senders: [libc::sockaddr_ll; INBOX_SLOTS],
    messages: [libc::mmsghdr; INBOX_SLOTS],
}

impl Default for Frames {
    fn default() -> Self {
        // SAFETY: these structures are plain integers and pointers, for which zero bytes are values.
        let (senders, messages) = unsafe { std::mem::zeroed() };
        let controls = [Control([0; 48]); INBOX_SLOTS];
        Frames { offloads: Default::default(), controls, senders, messages }
    }
}

impl Frames {
    /// Receives frames into the inbox's slots, and returns how many.
    fn receive(&mut self, descriptor: &impl AsRawFd, inbox: &mut Inbox) -> io::Result<usize> {
        let none = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let mut buffers = [[none; 2]; INBOX_SLOTS];
        for (at, slot) in inbox.slots().enumerate() {
            let offload = std::ptr::from_mut(&mut self.offloads[at]).cast();
            buffers[at] = [
                libc::iovec { iov_base: offload, iov_len: size_of::<VirtioNetHeader>() },
                libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() },
            ];
            let header = &mut self.messages[at].msg_hdr;
            header.msg_name = std::ptr::from_mut(&mut self.senders[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
            header.msg_iov = buffers[at].as_mut_ptr();
            header.msg_iovlen = 2;
            header.msg_control = self.controls[at].0.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        let (messages, length) = (self.messages.as_mut_ptr(), INBOX_SLOTS as u32);
        // SAFETY: every pointer in the messages is to memory that outlives the call, of the length that is stated beside it.
        let count =
            unsafe { libc::recvmmsg(descriptor.as_raw_fd(), messages, length, 0, std::ptr::null_mut()) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Finds the datagrams in the frame that lies in a slot.
    fn parse(&self, at: usize, slot: &[u8]) -> Option<Parsed> {
        let message = &self.messages[at];
        let length = (message.msg_len as usize).checked_sub(size_of::<VirtioNetHeader>())?;
        let (offload, sender) = (self.offloads[at], self.senders[at]);
        let capture = Capture {
            network: self.network_offset(at)?,
            packet_type: sender.sll_pkttype,
            interface: u32::try_from(sender.sll_ifindex).unwrap_or_default(),
            gso_type: offload.gso_type,
            gso_size: offload.gso_size,
        };
        let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        let parsed = whole.then_some(frame::parse(slot.get(..length)?, capture))?;
        parsed.inspect_err(|why| tracing::trace!(?why, "a frame was refused")).ok()
    }

    fn network_offset(&self, at: usize) -> Option<usize> {
        // SAFETY: the message's control pointer and length are those of `controls[at]`, filled by the kernel, and `self` is borrowed.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const self.messages[at].msg_hdr).as_ref() }?;
        let auxiliary = header.cmsg_level == SOL_PACKET && header.cmsg_type == PACKET_AUXDATA;
        // SAFETY: a control message of this kind holds `struct tpacket_auxdata`, and there is room for a whole one.
        let auxiliary =
            auxiliary.then(|| unsafe { libc::CMSG_DATA(header).cast::<AuxiliaryData>().read_unaligned() });
        auxiliary.map(|auxiliary| usize::from(auxiliary.network))
    }
}

fn arrival(parsed: Parsed) -> Arrival {
    Arrival {
        start: parsed.start,
        end: parsed.end,
        stride: parsed.stride,
        remote: parsed.remote,
        local: Some(parsed.local.ip()),
        ecn: parsed.ecn,
    }
}
