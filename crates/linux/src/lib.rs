//! The kernel, as the other crates use it: processes, namespaces, mounts, cgroups, netlink.
//!
//! This is the only crate that may hold `unsafe`; each block says why it is sound. Everything offered here is safe to
//! call, and a function that is sound only under a condition (such as "this process has one thread") checks it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bpf;
pub mod caps;
pub mod cgroup;
pub mod conntrack;
pub mod datagrams;
pub mod detour;
pub mod disk;
pub mod fds;
pub mod link;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod process;
pub mod seccomp;
pub mod splice;
pub mod sysctl;
pub mod terminal;
pub mod user;
pub mod xattr;
