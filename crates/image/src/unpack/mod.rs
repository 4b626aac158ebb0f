//! Unpacks one layer's archive into a folder, in the form overlayfs reads.
//!
//! Whiteouts become character devices 0:0 and opaque marks the attribute `trusted.overlay.opaque`. What an archive
//! leaves out – the folders above its entries – takes its mode and owner from the layers below, since a folder of an
//! upper layer hides theirs.

mod resolve;
mod stream;
mod tree;

use std::io::Read;
use std::path::{Path, PathBuf};

pub(crate) use stream::{Meter, decompress};
use tree::{Name, Tree};

use crate::digest::Hashing;
use crate::error::LayerFault;
use crate::tape::{Item, Kind, Tape};
use crate::{Config, Devices, Digest, Limits};

/// What a layer's bytes must turn out to be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The blob's digest and size, where known.
    pub(crate) blob: Option<(Digest, u64)>,
    /// The uncompressed archive's digest.
    pub(crate) diff: Digest,
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const OVERLAY: &[u8] = b"trusted.overlay.";

/// Unpacks `source` into the empty folder `root`, over the layers `below` (the top one first).
/// Answers with the bytes of its files.
pub(crate) fn unpack(
    source: Box<dyn Read + Send>,
    expected: &Expected,
    root: &Path,
    below: &[PathBuf],
    config: &Config,
) -> Result<u64, LayerFault> {
    let mut tree = Tree::open(root, below)?;
    stream::verified(source, expected, &config.limits, |archive| {
        let mut unpacking = Unpacking {
            tape: Tape::new(archive),
            tree: &mut tree,
            devices: config.devices,
            limits: &config.limits,
            entries: 0,
            bytes: 0,
            buffer: vec![0; 128 << 10],
        };
        unpacking.run()?;
        let bytes = unpacking.bytes;
        tree.finish()?;
        Ok(bytes)
    })
}

struct Unpacking<'a> {
    tape: Tape<&'a mut Hashing<stream::Archive>>,
    tree: &'a mut Tree,
    devices: Devices,
    limits: &'a Limits,
    entries: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Unpacking<'_> {
    fn run(&mut self) -> Result<(), LayerFault> {
        while let Some(item) = self.tape.next().map_err(LayerFault::Damaged)? {
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(LayerFault::Limit { what: "entries", limit: self.limits.entries });
            }
            self.entry(&item)?;
        }
        Ok(())
    }

    fn entry(&mut self, item: &Item) -> Result<(), LayerFault> {
        let name = Name::parse(&item.name)?;
        if let Some(hidden) = name.last().strip_prefix(WHITEOUT) {
            return self.whiteout(&name, hidden);
        }
        if let Some((attribute, _)) = item.xattrs.iter().find(|(attribute, _)| attribute.starts_with(OVERLAY)) {
            let attribute = String::from_utf8_lossy(attribute).into_owned();
            return Err(LayerFault::Attribute { entry: name.to_string(), name: attribute });
        }
        match &item.kind {
            Kind::File { size } => self.file(&name, item, *size),
            Kind::Folder => self.tree.folder(&name, item),
            Kind::Symlink { target } => self.tree.symlink(&name, target, item),
            Kind::HardLink { target } => self.tree.hard_link(&name, target),
            Kind::Fifo => self.tree.fifo(&name, item),
            Kind::Character { major, minor } | Kind::Block { major, minor } => self.device(&name, item, *major, *minor),
            Kind::Other(kind) => Err(LayerFault::Kind { entry: name.to_string(), kind: kind.clone() }),
        }
    }

    fn whiteout(&mut self, name: &Name<'_>, hidden: &[u8]) -> Result<(), LayerFault> {
        if name.last() == OPAQUE {
            return self.tree.opaque(&name.parent());
        }
        if hidden.starts_with(WHITEOUT) {
            // Bookkeeping of aufs, of no meaning here.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(LayerFault::Name { entry: name.to_string(), why: "a whiteout must name a file" });
        }
        self.tree.whiteout(&name.sibling(hidden))
    }

    fn file(&mut self, name: &Name<'_>, item: &Item, size: u64) -> Result<(), LayerFault> {
        let mut file = self.tree.file(name)?;
        let mut written = 0;
        while written < size {
            let n = match self.tape.read_content(&mut self.buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(LayerFault::Truncated { entry: name.to_string(), expected: size, found: written });
                }
                Err(error) => return Err(LayerFault::Damaged(error)),
            };
            std::io::Write::write_all(&mut file, &self.buffer[..n]).map_err(name.failed("write it"))?;
            written += n as u64;
        }
        self.bytes += written;
        self.tree.finish_file(name, &file, item)
    }

    fn device(&mut self, name: &Name<'_>, item: &Item, major: u32, minor: u32) -> Result<(), LayerFault> {
        if name.is_below(b"dev") {
            tracing::debug!(entry = %name, "device node left out: a container gets its own /dev");
            return Ok(());
        }
        if self.devices == Devices::Refuse || (major, minor) == (0, 0) {
            return Err(LayerFault::Device { entry: name.to_string(), major, minor });
        }
        self.tree.device(name, item, major, minor)
    }
}
