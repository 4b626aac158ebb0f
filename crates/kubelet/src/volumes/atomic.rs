//! Writes all files of a volume in one step, as programs that watch `..data` expect it:
//!
//! ```text
//! <volume>/..2024_01_02_03_04_05.678/key     the files
//! <volume>/..data -> ..2024_01_02_03_04_05.678      swapped by rename
//! <volume>/key    -> ..data/key
//! ```

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
};

use jiff::Timestamp;

use super::{VolumeError, at, render::Tree};

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Makes the volume at `dir` show exactly `tree`. `group` owns the files if it is given. Returns
/// whether anything changed.
pub(crate) fn write(dir: &Path, tree: &Tree, group: Option<u32>, now: Timestamp) -> Result<bool, VolumeError> {
    if same(dir, tree) {
        return Ok(false);
    }
    let stamp = format!("..{}.{:09}", now.strftime("%Y_%m_%d_%H_%M_%S"), now.subsec_nanosecond());
    let fresh = dir.join(&stamp);
    fs::DirBuilder::new().mode(0o755).create(&fresh).map_err(at("make folder", &fresh))?;
    for (path, file) in tree {
        let target = fresh.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(at("make folder", parent))?;
        }
        put(&target, &file.bytes, file.mode, group).map_err(at("write", &target))?;
    }
    if let Some(group) = group {
        chown(&fresh, None, Some(group)).map_err(at("set the group of", &fresh))?;
    }
    let old = fs::read_link(dir.join(DATA)).ok();
    let swap = dir.join(NEW_DATA);
    match fs::remove_file(&swap) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("remove", &swap)(error)),
        _ => {}
    }
    symlink(&stamp, &swap).map_err(at("make link", &swap))?;
    fs::rename(&swap, dir.join(DATA)).map_err(at("make link", dir.join(DATA)))?;
    show(dir, tree)?;
    if let Some(old) = old {
        let old = dir.join(old);
        fs::remove_dir_all(&old).map_err(at("remove", &old))?;
    }
    Ok(true)
}

fn put(path: &Path, bytes: &[u8], mode: u32, group: Option<u32>) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    io::Write::write_all(&mut file, bytes)?;
    let mode = if group.is_some() { mode | 0o440 } else { mode };
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    if group.is_some() {
        std::os::unix::fs::fchown(&file, None, group)?;
    }
    Ok(())
}

/// Whether the volume shows `tree` already.
fn same(dir: &Path, tree: &Tree) -> bool {
    let data = dir.join(DATA);
    let Ok(shown) = files(&data, Path::new("")) else { return false };
    shown.len() == tree.len()
        && tree.iter().all(|(path, file)| {
            shown.contains(path) && fs::read(data.join(path)).is_ok_and(|bytes| bytes == file.bytes)
        })
}

fn files(root: &Path, below: &Path) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            found.extend(files(root, &path)?);
        } else {
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// Links for the first element of every path; links to what is gone are removed.
fn show(dir: &Path, tree: &Tree) -> Result<(), VolumeError> {
    let wanted: BTreeSet<&str> = tree.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &wanted {
        let link = dir.join(name);
        match symlink(Path::new(DATA).join(name), &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at("make link", link)(error)),
            _ => {}
        }
    }
    for entry in fs::read_dir(dir).map_err(at("read folder", dir))? {
        let entry = entry.map_err(at("read folder", dir))?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with("..") || wanted.contains(name));
        if !ours {
            fs::remove_file(entry.path()).map_err(at("remove", entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volumes::render::File;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |text: &str| File { bytes: text.as_bytes().to_vec(), mode: 0o640 };
        files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    fn at_second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn files_are_swapped_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(write(dir, &tree(&[("a", "1"), ("d/b", "2")]), None, at_second(0)).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "1");
        assert_eq!(fs::read_to_string(dir.join("d/b")).unwrap(), "2");
        assert_eq!(fs::read_link(dir.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::metadata(dir.join("a")).unwrap().permissions().mode() & 0o777, 0o640);

        assert!(!write(dir, &tree(&[("a", "1"), ("d/b", "2")]), None, at_second(1)).unwrap(), "nothing changed");
        assert!(write(dir, &tree(&[("a", "3"), ("c", "4")]), None, at_second(2)).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "3");
        assert!(!dir.join("d").exists());
        let hidden = fs::read_dir(dir)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("..2"));
        assert_eq!(hidden.count(), 1, "the old files are gone");
    }

    #[test]
    fn an_empty_volume_is_a_volume() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write(dir.path(), &Tree::new(), None, at_second(0)).unwrap());
        assert!(!write(dir.path(), &Tree::new(), None, at_second(1)).unwrap());
    }
}
