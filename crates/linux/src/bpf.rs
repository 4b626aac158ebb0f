//! `bpf(2)`, as little of it as is needed: hash maps, small programs written out by hand, and links to cgroups.
//!
//! What is made here lives as long as its descriptor: a process that ends leaves nothing in the kernel.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const PROGRAM_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;

const HASH: u32 = 1;
const NO_PREALLOC: u32 = 1;
const CGROUP_SOCK_ADDR: u32 = 18;
const LICENCE: &CStr = c"Apache-2.0";

/// A hash map whose keys and values are words.
#[derive(Debug)]
pub(crate) struct Map<const KEY: usize, const VALUE: usize>(OwnedFd);

#[repr(C)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl<const KEY: usize, const VALUE: usize> Map<KEY, VALUE> {
    /// A map that takes memory only for what is in it.
    pub(crate) fn new(entries: u32) -> io::Result<Self> {
        let word = size_of::<u32>() as u32;
        let (key_size, value_size) = (KEY as u32 * word, VALUE as u32 * word);
        let mut new = NewMap { kind: HASH, key_size, value_size, entries, flags: NO_PREALLOC };
        // SAFETY: `NewMap` is how `bpf_attr` begins for this command.
        owned(unsafe { call(MAP_CREATE, &mut new) }?).map(Self)
    }

    pub(crate) fn set(&self, key: [u32; KEY], value: [u32; VALUE]) -> io::Result<()> {
        let mut element = self.element(&key);
        element.value = value.as_ptr() as u64;
        // SAFETY: `Element` is `bpf_attr` for this command; key and value have the map's sizes and outlive the call.
        unsafe { call(MAP_UPDATE, &mut element) }.map(drop)
    }

    /// Removes a key, if it is there.
    pub(crate) fn remove(&self, key: [u32; KEY]) -> io::Result<()> {
        let mut element = self.element(&key);
        // SAFETY: `Element` is `bpf_attr` for this command; the key has the map's size and outlives the call.
        match unsafe { call(MAP_DELETE, &mut element) } {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map(drop),
        }
    }

    fn element(&self, key: &[u32; KEY]) -> Element {
        Element { map: number(self.0.as_fd()), pad: 0, key: key.as_ptr() as u64, value: 0, flags: 0 }
    }

    /// The two instructions that put the map into a register.
    pub(crate) fn load(&self, register: u8) -> [Instruction; 2] {
        /// Says that the immediate is the descriptor of a map.
        const DESCRIPTOR: u8 = 1;
        wide(register, DESCRIPTOR, u64::from(number(self.0.as_fd())))
    }
}

/// One instruction: operation, registers, offset, immediate.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Instruction {
    operation: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    /// Turns a jump to `mark` into a jump over as many instructions.
    pub(crate) fn land(&mut self, mark: i16, distance: usize) {
        if self.offset == mark {
            // The kernel refuses programs that are longer.
            self.offset = i16::try_from(distance).unwrap_or(i16::MAX);
        }
    }
}

/// An instruction; `to` and `from` are registers.
pub(crate) fn instruction(operation: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    Instruction { operation, registers, offset, immediate }
}

/// Loads 64 bits.
pub(crate) fn wide(to: u8, kind: u8, value: u64) -> [Instruction; 2] {
    [instruction(0x18, to, kind, 0, value as i32), instruction(0, 0, 0, 0, (value >> 32) as i32)]
}

/// When a program is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Moment {
    /// When an IPv4 socket is about to be connected.
    Connect4 = 10,
    /// The same for an IPv6 socket.
    Connect6 = 11,
}

#[repr(C)]
struct NewProgram {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    moment: u32,
}

#[repr(C)]
struct NewLink {
    program: u32,
    target: u32,
    moment: u32,
    flags: u32,
}

/// Has the kernel check a program, and ask it from now on at that moment for all sockets of a cgroup, for as long as
/// the returned link is open.
///
/// # Errors
/// Without `CAP_BPF` and `CAP_NET_ADMIN`, and where the kernel lacks anything that the program uses.
pub(crate) fn attach(
    program: &[Instruction],
    moment: Moment,
    name: &str,
    cgroup: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let mut new = NewProgram {
        kind: CGROUP_SOCK_ADDR,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        licence: LICENCE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel: 0,
        flags: 0,
        name: [0; 16],
        interface: 0,
        moment: moment as u32,
    };
    // The last byte stays NUL.
    new.name.iter_mut().take(15).zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    // SAFETY: `NewProgram` is how `bpf_attr` begins for this command; program and licence outlive the call.
    let loaded = owned(unsafe { call(PROGRAM_LOAD, &mut new) }?)?;
    let mut link = NewLink { program: number(loaded.as_fd()), target: number(cgroup), moment: moment as u32, flags: 0 };
    // SAFETY: `NewLink` is how `bpf_attr` begins for this command.
    owned(unsafe { call(LINK_CREATE, &mut link) }?)
}

fn number(descriptor: BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().unsigned_abs()
}

/// # Safety
/// `T` is laid out as `bpf_attr` is for that command, and its pointers are valid for it.
unsafe fn call<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are valid for their size; the rest is what the caller promises.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let number = libc::c_int::try_from(result).map_err(io::Error::other)?;
    // SAFETY: only called with the result of a command that makes a descriptor, which nobody else knows yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
