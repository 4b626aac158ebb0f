//! Names and hardware addresses that follow from a pod's uid, so that nothing must be remembered.

use skiff_linux::link::Mac;

/// How many characters of a link's name follow the prefix.
const DIGITS: usize = 10;
/// What follows the prefix in the name of the node's own link.
pub(crate) const NODE: &str = "0";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The name of the host's end of a pod's link: the prefix and ten characters, so it fits 15 bytes.
pub(crate) fn link(prefix: &str, uid: &str) -> String {
    let hash = hash(uid);
    let digits = (0..DIGITS).map(|place| char::from(ALPHABET[(hash >> (place * 5)) as usize & 31]));
    prefix.chars().chain(digits).collect()
}

/// Whether a link of that name is one of ours.
pub(crate) fn is_link(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest == NODE || (rest.len() == DIGITS && rest.bytes().all(|byte| ALPHABET.contains(&byte))))
}

/// The hardware addresses of the host's and of the pod's end: locally administered, unicast.
pub(crate) fn macs(uid: &str) -> (Mac, Mac) {
    let bytes = hash(uid).to_be_bytes();
    let mac = |end: u8| [0x02 | end, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]];
    (mac(0x10), mac(0x20))
}

/// FNV-1a with a final mix: stable over releases of skiff and of its compiler.
fn hash(uid: &str) -> u64 {
    let hash = uid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_fit_and_stay_the_same() {
        let name = link("skiff", "0b0e0f1c-6a55-4d0c-9f0e-3a8d1a2b3c4d");
        assert_eq!(name.len(), 15);
        assert_eq!(name, link("skiff", "0b0e0f1c-6a55-4d0c-9f0e-3a8d1a2b3c4d"));
        let many: BTreeSet<String> = (0..10_000).map(|n| link("skiff", &format!("uid-{n}"))).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().all(|name| is_link("skiff", name)) && is_link("skiff", "skiff0"));
        assert!(!many.iter().any(|name| is_link("ski", name)) && !is_link("skiff", "skiff-test"));
    }

    #[test]
    fn hardware_addresses_are_local_unicast_and_differ() {
        let (host, pod) = macs("uid");
        assert_ne!(host, pod);
        for mac in [host, pod] {
            assert_eq!(mac[0] & 0b11, 0b10);
        }
    }
}
