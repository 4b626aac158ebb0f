//! The system call filter that containers run under: what ordinary programs need is allowed, calls that reach into the
//! kernel's administration are refused unless the container has the capability for them.
//!
//! A profile is two programs. The main one allows a list and answers everything else with "not permitted". The other
//! answers calls that programs probe for and can do without (`clone3`, whose arguments no filter can see, and calls
//! newer than this list) with "not implemented", so that C libraries fall back instead of failing.

mod calls;

use std::io;

use caps::Capability;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::caps::CapSet;

/// The filter can't be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule is wrong.
    #[error("can't build the system call filter: {0}")]
    Backend(#[from] BackendError),
}

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Profile {
    programs: Vec<BpfProgram>,
}

/// Namespaces that `clone` may not make without `CAP_SYS_ADMIN`.
const CLONE_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u64;

/// Personalities that change nothing a container could abuse.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

impl Profile {
    /// The default profile for a container with these capabilities.
    ///
    /// # Errors
    /// When the filter compiler refuses a rule, or knows no filter for this machine.
    pub fn compile(caps: CapSet) -> Result<Profile, Error> {
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        let rules = rules(caps)?.into_iter().collect();
        let main = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch)?.try_into()?;
        Ok(Profile { programs: vec![main, absent(caps)] })
    }

    /// As bytes, for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for program in &self.programs {
            bytes.extend_from_slice(&(program.len() as u32).to_le_bytes());
            for step in program {
                bytes.extend_from_slice(&step.code.to_le_bytes());
                bytes.extend_from_slice(&[step.jt, step.jf]);
                bytes.extend_from_slice(&step.k.to_le_bytes());
            }
        }
        bytes
    }

    /// From what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes end too early.
    pub fn from_bytes(mut bytes: &[u8]) -> io::Result<Profile> {
        let mut programs = Vec::new();
        while !bytes.is_empty() {
            let steps = u32::from_le_bytes(take(&mut bytes)?);
            let program = (0..steps).map(|_| step(take(&mut bytes)?)).collect::<io::Result<BpfProgram>>()?;
            programs.push(program);
        }
        Ok(Profile { programs })
    }

    /// Puts this process, and all that it becomes, under the filter. Needs `CAP_SYS_ADMIN` or `no_new_privs`; setting
    /// the latter is the caller's choice.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn install(&self) -> io::Result<()> {
        self.programs.iter().map(Vec::as_slice).try_for_each(load)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> io::Result<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    *bytes = rest;
    Ok(*head)
}

fn step(bytes: [u8; 8]) -> io::Result<sock_filter> {
    let [c0, c1, jt, jf, k0, k1, k2, k3] = bytes;
    Ok(sock_filter { code: u16::from_le_bytes([c0, c1]), jt, jf, k: u32::from_le_bytes([k0, k1, k2, k3]) })
}

/// Unlike seccompiler's own, this leaves `no_new_privs` alone.
fn load(program: &[sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let header = libc::sock_fprog { len: length, filter: program.as_ptr() as *mut libc::sock_filter };
    // SAFETY: seccompiler's `sock_filter` and libc's are the same C struct; the kernel copies `length` of them from
    // a slice that outlives the call, and writes nothing.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const header) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

type Rules = Vec<(i64, Vec<SeccompRule>)>;

fn rules(caps: CapSet) -> Result<Rules, BackendError> {
    let mut rules: Rules = calls::ALWAYS.iter().map(|call| (*call, vec![])).collect();
    for (capability, list) in calls::WITH_CAPABILITY {
        if caps.has(*capability) {
            rules.extend(list.iter().map(|call| (*call, vec![])));
        }
    }
    let personality = PERSONALITIES.iter().map(|value| when(0, SeccompCmpOp::Eq, *value)).collect::<Result<_, _>>()?;
    rules.push((libc::SYS_personality, personality));
    rules.push((libc::SYS_socket, vec![when(0, SeccompCmpOp::Ne, libc::AF_VSOCK as u64)?]));
    if !caps.has(Capability::CAP_SYS_ADMIN) {
        rules.push((libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(CLONE_NAMESPACES), 0)?]));
    }
    // Answered by the other program when it is not allowed.
    rules.push((libc::SYS_clone3, vec![]));
    Ok(rules)
}

fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?])
}

/// Answers "not implemented" to `clone3` without `CAP_SYS_ADMIN`, and to whatever is newer than our list.
fn absent(caps: CapSet) -> BpfProgram {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let op = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let clone3 = if caps.has(Capability::CAP_SYS_ADMIN) { u32::MAX } else { libc::SYS_clone3 as u32 };
    vec![
        op(LOAD, 0, 0, 0),
        op(EQUAL, 2, 0, clone3),
        op(GREATER, 1, 0, calls::NEWEST as u32),
        op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        op(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_survives_its_file() {
        let profile = Profile::compile(CapSet::container_default()).unwrap();
        let back = Profile::from_bytes(&profile.to_bytes()).unwrap();
        assert_eq!(back.to_bytes(), profile.to_bytes());
        assert!(Profile::from_bytes(&profile.to_bytes()[..11]).is_err());
        assert!(profile.programs[0].len() < 4096, "the kernel takes no more");
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut seen = std::collections::HashSet::new();
        for call in calls::ALWAYS {
            assert!(seen.insert(*call), "{call}");
        }
        Profile::compile(CapSet::all()).unwrap();
    }
}
