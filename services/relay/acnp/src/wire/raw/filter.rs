//! The programs by which the kernel keeps foreign packets from us (classic BPF, linux/filter.h).
//!
//! They read from the IP header on (`SKF_NET_OFF`), so that one program serves devices with and without a header of the link.

use std::{io, net::IpAddr, os::fd::AsRawFd};

use libc::{
    BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET,
    BPF_W,
};
use libc::{SKF_AD_OFF, SKF_AD_PKTTYPE, SKF_NET_OFF, sock_filter, sock_fprog};

use super::{Family, frame::PACKET_HOST};
use crate::wire::system::set_option;

/// Bytes of a frame that a program lets through: all of the largest.
const WHOLE: u32 = 0x4_0000;

/// The protocol number of UDP.
const UDP: u32 = 17;

/// Where the fields lie in the IP header, and the header's length if it is fixed.
mod offset {
    pub(super) const V4_FRAGMENT: i32 = 6;
    pub(super) const V4_PROTOCOL: i32 = 9;
    pub(super) const V4_DESTINATION: i32 = 16;
    pub(super) const V6_NEXT_HEADER: i32 = 6;
    pub(super) const V6_DESTINATION: i32 = 24;
    pub(super) const V6_BYTES: i32 = 40;
    pub(super) const UDP_DESTINATION: i32 = 2;
}

/// The flag "more fragments" and the fragment's offset.
const FRAGMENT: u32 = 0x3fff;

/// A program in the making: loads, each followed by a condition that rejects the packet when it fails.
#[derive(Default)]
struct Program(Vec<sock_filter>);

impl Program {
    fn load(&mut self, width: u32, offset: i32) -> &mut Self {
        self.push(BPF_LD | width | BPF_ABS, offset as u32)
    }

    /// Accepts only the value that was loaded last if it is `value`.
    fn equals(&mut self, value: u32) -> &mut Self {
        self.push(BPF_JMP | BPF_JEQ | BPF_K, value)
    }

    /// Accepts only if the value that was loaded last has none of these bits.
    fn clear_of(&mut self, bits: u32) -> &mut Self {
        self.push(BPF_JMP | BPF_JSET | BPF_K, bits)
    }

    fn push(&mut self, code: u32, k: u32) -> &mut Self {
        self.0.push(sock_filter { code: code as u16, jt: 0, jf: 0, k });
        self
    }

    /// Ends with "accept" and "reject", and lets the failing conditions jump to the latter.
    fn finish(mut self) -> Vec<sock_filter> {
        self.push(BPF_RET | BPF_K, WHOLE).push(BPF_RET | BPF_K, 0);
        let reject = self.0.len() - 1;
        for (at, step) in self.0.iter_mut().enumerate() {
            let jump = (reject - at - usize::from(at < reject)) as u8;
            match u32::from(step.code) {
                code if code == BPF_JMP | BPF_JEQ | BPF_K => step.jf = jump,
                code if code == BPF_JMP | BPF_JSET | BPF_K => step.jt = jump,
                _ => (),
            }
        }
        self.0
    }
}

/// Lets through what this host received for `port`, whole, in UDP, at `local` if that is given.
pub(super) fn datagrams_to(family: Family, local: Option<IpAddr>, port: u16) -> Vec<sock_filter> {
    let mut program = Program::default();
    program.load(BPF_B, SKF_AD_OFF + SKF_AD_PKTTYPE).equals(u32::from(PACKET_HOST));
    match family {
        Family::V4 => {
            program.load(BPF_B, SKF_NET_OFF + offset::V4_PROTOCOL).equals(UDP);
            program.load(BPF_H, SKF_NET_OFF + offset::V4_FRAGMENT).clear_of(FRAGMENT);
            address(&mut program, SKF_NET_OFF + offset::V4_DESTINATION, local);
            program.push(BPF_LDX | BPF_B | BPF_MSH, SKF_NET_OFF as u32);
            program.push(BPF_LD | BPF_H | BPF_IND, (SKF_NET_OFF + offset::UDP_DESTINATION) as u32);
        }
        Family::V6 => {
            program.load(BPF_B, SKF_NET_OFF + offset::V6_NEXT_HEADER).equals(UDP);
            address(&mut program, SKF_NET_OFF + offset::V6_DESTINATION, local);
            program.load(BPF_H, SKF_NET_OFF + offset::V6_BYTES + offset::UDP_DESTINATION);
        }
    }
    program.equals(u32::from(port));
    program.finish()
}

fn address(program: &mut Program, offset: i32, local: Option<IpAddr>) {
    let octets = match local {
        None => return,
        Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
        Some(IpAddr::V6(v6)) => v6.octets().to_vec(),
    };
    for (at, word) in octets.as_chunks::<4>().0.iter().enumerate() {
        program.load(BPF_W, offset + 4 * at as i32).equals(u32::from_be_bytes(*word));
    }
}

/// Lets nothing through.
pub(super) fn nothing() -> Vec<sock_filter> {
    vec![sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: 0 }]
}

/// Makes a socket keep to a program from now on.
pub(super) fn attach(descriptor: &impl AsRawFd, program: &[sock_filter]) -> io::Result<()> {
    let program = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    set_option(descriptor, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}
