//! Where a path with links in it leads, seen from the layer's root. Only for the rare archive whose entries lie below
//! an absolute link (`var/run/x` with `var/run -> /run`): the kernel's `RESOLVE_BENEATH` refuses those together with
//! the ones that climb out, and the two must be told apart to name the latter.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::fcntl::readlinkat;

use super::tree::Name;
use crate::error::LayerFault;

const MOST_LINKS: usize = 40;

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Astray {
    /// This link climbs over the root.
    Out { link: String, target: String },
    /// Links lead to links without end.
    Loop { link: String },
}

impl Astray {
    pub(super) fn of(self, entry: &Name<'_>) -> LayerFault {
        let through = match self {
            Astray::Out { link, target } => format!(" through the link {link:?} -> {target:?}"),
            Astray::Loop { link } => format!(" through the endless link {link:?}"),
        };
        LayerFault::Escape { entry: entry.to_string(), through }
    }
}

/// The same path without links. Parts that do not exist are kept as they are.
pub(super) fn within(root: impl AsFd, path: &[u8]) -> Result<Vec<u8>, Astray> {
    let root = root.as_fd();
    let mut ahead: VecDeque<Vec<u8>> = split(path).collect();
    let mut behind: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    // The link being followed, for the error.
    let mut last = (String::new(), String::new());
    while let Some(part) = ahead.pop_front() {
        if part == b".." {
            if behind.pop().is_none() {
                return Err(Astray::Out { link: last.0, target: last.1 });
            }
            continue;
        }
        behind.push(part);
        let here = behind.join(&b'/');
        let Ok(target) = readlinkat(root, OsStr::from_bytes(&here)) else { continue };
        let (here, target) = (String::from_utf8_lossy(&here).into_owned(), target.into_vec());
        links += 1;
        if links > MOST_LINKS {
            return Err(Astray::Loop { link: here });
        }
        last = (here, String::from_utf8_lossy(&target).into_owned());
        behind.pop();
        if target.starts_with(b"/") {
            behind.clear();
        }
        for part in split(&target).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(part);
        }
    }
    Ok(behind.join(&b'/'))
}

fn split(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec)
}
