//! Opening: take the folder, check its format, load the database; restore the backup if the database is damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{Backend, Head};
use crate::folder::{Folder, Witness};
use crate::sled::Sled;
use crate::snapshot::State;
use crate::{BackendError, Damage, Entry, OpenError, backup, record};

/// How far revisions jump when a backup is restored, so that none of those lost since is given out again.
const JUMP: u64 = 1 << 28;

/// That a backup had to be restored, and what is lost by it.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// What was wrong with the database.
    pub damage: Damage,
    /// The revision that the restored backup holds.
    pub restored: u64,
    /// The last revision that had been acknowledged, if it is known: what was written in between is lost.
    pub acknowledged: Option<u64>,
    /// Where the damaged database is now.
    pub aside: PathBuf,
}

/// An open database and what is in it.
pub(crate) struct Opened {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) state: State,
    pub(crate) head: Head,
    pub(crate) recovery: Option<Recovery>,
}

/// Opens the database of a folder.
pub(crate) fn open(folder: &Folder) -> Result<Opened, OpenError> {
    let format = folder.check_format()?;
    let failed = |source| OpenError::Backend { folder: folder.path().to_owned(), source };
    let witness = Witness::open(folder.path()).map_err(failed)?;
    let mut sled = Sled::at(folder.database(), witness);
    let damage = match format {
        Err(damage) => damage,
        Ok(()) => match load(&mut sled) {
            Ok((head, entries)) => return Ok(opened(sled, head, entries, None)),
            Err(error) => error.damage().ok_or(error).map_err(failed)?,
        },
    };
    restore(folder, sled, damage)
}

fn load(sled: &mut Sled) -> Result<(Head, Vec<Arc<Entry>>), BackendError> {
    sled.reopen()?;
    let mut entries = Vec::new();
    let head = sled.load(&mut |entry| entries.push(Arc::new(entry)))?;
    record::verify(&head, &entries)?;
    Ok((head, entries))
}

/// Puts the newest sound backup in place of a damaged database.
fn restore(folder: &Folder, mut sled: Sled, damage: Damage) -> Result<Opened, OpenError> {
    let (head, entries) = match newest(folder.path()) {
        Ok(found) => found,
        Err(backups) => return Err(OpenError::Corrupt { folder: folder.path().to_owned(), damage, backups }),
    };
    let acknowledged = sled.acknowledged();
    let restored = head.revision;
    let reserved = head.reserved.max(acknowledged.unwrap_or_default()) + JUMP;
    let head = Head { revision: reserved, reserved, ..head };
    let aside = match sled.rebuild(&entries, head) {
        Ok(aside) => aside,
        Err(source) => {
            return Err(OpenError::Restore { folder: folder.path().to_owned(), damage, revision: restored, source });
        }
    };
    folder.write_format()?;
    let recovery = Recovery { damage, restored, acknowledged, aside };
    recovery.report(folder.path());
    Ok(opened(sled, head, entries, Some(recovery)))
}

/// The newest backup that is whole; if there is none, what was found instead.
fn newest(folder: &Path) -> Result<(Head, Vec<Arc<Entry>>), String> {
    let files = backup::list(folder).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for file in &files {
        match backup::read(file) {
            Ok(backup) => return Ok(backup),
            Err(error) => found.push(format!("{}: {error}", file.display())),
        }
    }
    Err(if found.is_empty() { "there is none".to_owned() } else { found.join("; ") })
}

fn opened(sled: Sled, head: Head, entries: Vec<Arc<Entry>>, recovery: Option<Recovery>) -> Opened {
    // A revision of its own for what is there now: whatever lived in memory only is gone.
    let mut state = State { revision: head.reserved + 1, ..State::default() };
    for entry in entries {
        state.tree.insert(entry);
    }
    Opened { backend: Box::new(sled), state, head, recovery }
}

impl Recovery {
    fn report(&self, folder: &Path) {
        let lost = match self.acknowledged {
            Some(last) if last > self.restored => {
                format!("WRITES ARE LOST: those of revisions {} to {last}", self.restored + 1)
            }
            Some(_) => "no acknowledged write is lost".to_owned(),
            None => "whether later writes are lost is unknown".to_owned(),
        };
        tracing::error!(
            folder = %folder.display(),
            damage = %self.damage,
            aside = %self.aside.display(),
            "the store was damaged and its backup of revision {} has been restored; {lost}",
            self.restored
        );
    }
}
