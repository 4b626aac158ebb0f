//! Why the node agent cannot start.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why the node agent cannot start.
#[derive(Debug, Error)]
pub enum Error {
    /// One of its folders cannot be made.
    #[error("cannot make the folder {path}: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}
