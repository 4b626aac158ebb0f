//! Container logs: the CRI files that supervisors write, read back for `kubectl logs`.
//!
//! `line` parses one line, `options` the request, `read` finds where to begin, `follow` goes on.

mod follow;
mod line;
mod options;
mod read;

pub(crate) use options::{Options, OptionsError, pairs};
pub(crate) use read::{last_lines, stream};
