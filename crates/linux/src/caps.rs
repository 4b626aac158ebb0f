//! Capability sets: the ones containers get, names as users write them, and giving up the rest.

use std::io;

use caps::{CapSet as Kind, Capability};

/// A set of capabilities, one bit each, by the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapSet(u64);

/// No capability of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct Unknown(pub String);

/// What containers have unless they ask otherwise.
const CONTAINER_DEFAULT: [Capability; 14] = [
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SETUID,
    Capability::CAP_SYS_CHROOT,
];

impl CapSet {
    /// Every capability this crate knows.
    pub fn all() -> CapSet {
        CapSet(caps::all().into_iter().fold(0, |bits, capability| bits | bit(capability)))
    }

    /// No capability.
    pub fn none() -> CapSet {
        CapSet(0)
    }

    /// What containers have unless they ask otherwise.
    pub fn container_default() -> CapSet {
        CapSet(CONTAINER_DEFAULT.into_iter().fold(0, |bits, capability| bits | bit(capability)))
    }

    /// One bit per capability.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether it is in the set.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & bit(capability) != 0
    }

    /// With some taken away and then some added; `ALL` means every one, names may lack `CAP_` and be in any case.
    ///
    /// # Errors
    /// When a name is no capability's.
    pub fn changed(self, add: &[String], drop: &[String]) -> Result<CapSet, Unknown> {
        let named = |names: &[String]| names.iter().try_fold(0, |bits, name| Ok(bits | named(name)?));
        Ok(CapSet((self.0 & !named(drop)?) | named(add)?))
    }

    /// Gives up everything beyond this set for good, and leaves nothing inheritable or ambient. What the calling
    /// process doesn't have it doesn't get.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn bound(self) -> io::Result<()> {
        for capability in caps::read(None, Kind::Bounding).map_err(io::Error::other)? {
            if !self.has(capability) {
                caps::drop(None, Kind::Bounding, capability).map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    /// Makes this set, as far as the process has it, its permitted and effective one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn apply(self) -> io::Result<()> {
        let mut kept = caps::read(None, Kind::Permitted).map_err(io::Error::other)?;
        kept.retain(|capability| self.has(*capability));
        caps::clear(None, Kind::Ambient).map_err(io::Error::other)?;
        caps::set(None, Kind::Inheritable, &caps::CapsHashSet::new()).map_err(io::Error::other)?;
        caps::set(None, Kind::Effective, &kept).map_err(io::Error::other)?;
        caps::set(None, Kind::Permitted, &kept).map_err(io::Error::other)
    }
}

fn bit(capability: Capability) -> u64 {
    capability.bitmask()
}

fn named(name: &str) -> Result<u64, Unknown> {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" || upper == "CAP_ALL" {
        return Ok(CapSet::all().0);
    }
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    full.parse::<Capability>().map(bit).map_err(|_| Unknown(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn changes_apply_drop_before_add() {
        let only = CapSet::container_default().changed(&names(&["net_admin"]), &names(&["ALL"])).unwrap();
        assert_eq!(only.bits(), Capability::CAP_NET_ADMIN.bitmask());
        let all = CapSet::container_default().changed(&names(&["all"]), &[]).unwrap();
        assert_eq!(all, CapSet::all());
        let less = CapSet::container_default().changed(&[], &names(&["CAP_NET_RAW"])).unwrap();
        assert!(!less.has(Capability::CAP_NET_RAW) && less.has(Capability::CAP_CHOWN));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = CapSet::container_default().changed(&names(&["FLY"]), &[]).unwrap_err();
        assert_eq!(error.to_string(), "unknown capability \"FLY\"");
    }
}
