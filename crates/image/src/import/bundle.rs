//! A folder or archive as a set of named files that can be read in any order.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{ContentError, FileError, ImportError, LayerFault, StoreError};
use crate::store::{Draft, Store};
use crate::tape::{Kind, Tape};
use crate::unpack::{Meter, decompress};
use crate::{Digest, document};

pub(super) struct Bundle<'a> {
    path: &'a Path,
    files: Files,
    document_bytes: u64,
}

enum Files {
    Folder(PathBuf),
    Archive {
        /// The archive itself, or its decompressed copy.
        file: PathBuf,
        entries: HashMap<String, Entry>,
        _copy: Option<Draft>,
    },
}

#[derive(Debug, Clone)]
enum Entry {
    Content {
        offset: u64,
        size: u64,
    },
    /// Older releases of Docker link equal layers.
    Link(String),
}

const MOST_LINKS: usize = 8;

impl<'a> Bundle<'a> {
    pub(super) fn open(path: &'a Path, store: &Store) -> Result<Self, ImportError> {
        let document_bytes = store.config.limits.document_bytes;
        let read = |source| ImportError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(read)?.is_dir() {
            return Ok(Self { path, files: Files::Folder(path.to_owned()), document_bytes });
        }
        let copy = decompressed(path, store)?;
        let file = copy.as_ref().map_or(path, |copy| copy.path()).to_owned();
        let entries = scan(path, &file, store)?;
        Ok(Self { path, files: Files::Archive { file, entries, _copy: copy }, document_bytes })
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.files, Files::Folder(_))
    }

    pub(super) fn content(&self, source: ContentError) -> ImportError {
        ImportError::Content { path: self.path.to_owned(), source }
    }

    /// A file's content, from its start to its end.
    pub(super) fn stream(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        match &self.files {
            Files::Folder(folder) => Ok(Box::new(File::open(folder.join(name))?)),
            Files::Archive { file, entries, .. } => {
                let (offset, size) = locate(entries, name).ok_or(io::ErrorKind::NotFound)?;
                let mut file = File::open(file)?;
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file.take(size)))
            }
        }
    }

    /// A small file as a whole; nothing when it is not there.
    pub(super) fn document(&self, what: &'static str, name: &str) -> Result<Option<Vec<u8>>, ImportError> {
        let stream = match self.stream(name) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ImportError::Read { path: self.path.to_owned(), source }),
        };
        let (mut bytes, limit) = (Vec::new(), self.document_bytes);
        let read = stream.take(limit + 1).read_to_end(&mut bytes);
        let size = read.map_err(|source| ImportError::Read { path: self.path.to_owned(), source })? as u64;
        if size > limit {
            return Err(self.content(ContentError::TooLarge { what, size, limit }));
        }
        Ok(Some(bytes))
    }

    /// A layout's blob, checked against the descriptor that names it.
    pub(super) fn blob(&self, what: &'static str, digest: Digest, size: u64) -> Result<Vec<u8>, ImportError> {
        let bytes = self.document(what, &blob_name(digest))?;
        let bytes = bytes.ok_or_else(|| self.content(ContentError::Missing { what, digest }))?;
        document::verify(what, digest, Some(size), &bytes).map_err(|error| self.content(error))?;
        Ok(bytes)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.join(name).is_file(),
            Files::Archive { entries, .. } => locate(entries, name).is_some(),
        }
    }
}

pub(super) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn locate(entries: &HashMap<String, Entry>, name: &str) -> Option<(u64, u64)> {
    let mut name = name;
    for _ in 0..MOST_LINKS {
        match entries.get(name)? {
            Entry::Content { offset, size } => return Some((*offset, *size)),
            Entry::Link(target) => name = target,
        }
    }
    None
}

/// A copy without compression, since a compressed archive cannot be read in any order.
fn decompressed(path: &Path, store: &Store) -> Result<Option<Draft>, ImportError> {
    let read = |source| ImportError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let Some(mut stream) = decompress(BufReader::with_capacity(256 << 10, file)).map_err(read)? else {
        return Ok(None);
    };
    let copy = store.draft();
    let failed = |error| StoreError::from(FileError::new("write", copy.path())(error));
    let mut out = File::create(copy.path()).map_err(failed)?;
    let mut meter = Meter::new(&store.config.limits);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = match stream.read(&mut buffer) {
            Ok(0) => return Ok(Some(copy)),
            Ok(n) => n,
            Err(error) => return Err(truncated(path, error)),
        };
        meter.add(n as u64, length).map_err(|fault| truncated(path, fault))?;
        let failed = |error| StoreError::from(FileError::new("write", copy.path())(error));
        out.write_all(&buffer[..n]).map_err(failed)?;
    }
}

fn scan(path: &Path, file: &Path, store: &Store) -> Result<HashMap<String, Entry>, ImportError> {
    let read = |source| ImportError::Read { path: path.to_owned(), source };
    let archive = File::open(file).map_err(read)?;
    let length = archive.metadata().map_err(read)?.len();
    let (mut tape, mut entries) = (Tape::new(archive), HashMap::new());
    while let Some(item) = tape.next().map_err(|error| truncated(path, error))? {
        if entries.len() as u64 > store.config.limits.entries {
            let limit = store.config.limits.entries;
            return Err(truncated(path, LayerFault::Limit { what: "entries", limit }));
        }
        let name = tidy(&String::from_utf8_lossy(&item.name));
        let entry = match item.kind {
            Kind::File { size } if item.offset.checked_add(size).is_none_or(|end| end > length) => {
                return Err(truncated(path, format!("{name} should have {size} bytes, the archive ends before")));
            }
            Kind::File { size } => Entry::Content { offset: item.offset, size },
            Kind::HardLink { target } => Entry::Link(tidy(&String::from_utf8_lossy(&target))),
            Kind::Symlink { target } => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                Entry::Link(tidy(&format!("{folder}/{}", String::from_utf8_lossy(&target))))
            }
            _ => continue,
        };
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// Without `.`, `..` and doubled slashes: only a key to look up, never a path to open.
fn tidy(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn truncated(path: &Path, detail: impl ToString) -> ImportError {
    ImportError::Truncated { path: path.to_owned(), detail: detail.to_string() }
}
