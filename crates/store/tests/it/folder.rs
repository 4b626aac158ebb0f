//! The folder: one server at a time, one format, and damage that is never passed over.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use skiff_store::{Damage, Op, OpenError, Options, Store};

use crate::{run, store};

const ENTRIES: usize = 300;

fn value(n: usize) -> Vec<u8> {
    format!("{n}:").into_bytes().repeat(500)
}

/// A closed store with entries, a backup of all of them, and the revision it was closed at.
fn filled() -> (tempfile::TempDir, u64) {
    let (folder, store) = store();
    let revision = run(async {
        for round in 0..3 {
            let puts = (0..ENTRIES).map(|n| vec![Op::put(format!("/{n:04}").into_bytes(), value(n + 2 - round))]);
            assert!(store.transact_each(puts.collect()).await.iter().all(Result::is_ok));
        }
        store.close().await.unwrap();
        store.snapshot().revision()
    });
    (folder, revision)
}

/// Opens a store that may be damaged. Whatever happens, it must end.
fn open(folder: &Path) -> Result<Store, OpenError> {
    let (done, result) = mpsc::channel();
    let folder = folder.to_owned();
    std::thread::spawn(move || done.send(Store::open(folder, Options::default())));
    result.recv_timeout(Duration::from_secs(30)).expect("opening a damaged store hangs")
}

fn refused(folder: &Path) -> OpenError {
    open(folder).err().expect("the store should be refused")
}

fn assert_whole(store: &Store) {
    let snapshot = store.snapshot();
    assert_eq!(snapshot.len(), ENTRIES);
    for (n, entry) in snapshot.range(b"/", None).enumerate() {
        assert_eq!((&*entry.key, &entry.value[..]), (format!("/{n:04}").as_bytes(), &value(n)[..]));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            fs::copy(file.path(), target).unwrap();
        }
    }
}

fn backups(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("backup-")).collect()
}

fn flip(file: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// Damages a copy of the store, once with its backups and once without: it is opened whole, or restored whole and said
/// so, or refused. Returns how often each.
fn damage(original: &Path, how: impl Fn(&Path)) -> [usize; 3] {
    let mut seen = [0; 3];
    for with_backups in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        copy(original, folder.path());
        if !with_backups {
            backups(folder.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
        }
        how(folder.path());
        match open(folder.path()) {
            Ok(store) => {
                assert_whole(&store);
                assert!(with_backups || store.recovery().is_none());
                seen[usize::from(store.recovery().is_some())] += 1;
                run(async { store.close().await.unwrap() });
            }
            Err(OpenError::Corrupt { .. }) if !with_backups => seen[2] += 1,
            Err(error) => panic!("with backups: {with_backups}: {error}"),
        }
    }
    seen
}

#[test]
fn a_second_store_on_the_same_folder_is_refused_until_the_first_is_closed() {
    run(async {
        let (folder, store) = store();
        let error = refused(folder.path());
        assert!(matches!(&error, OpenError::AlreadyOpen { holder: Some(pid), .. } if *pid == std::process::id()));
        let message = error.to_string();
        assert!(message.contains(&*folder.path().to_string_lossy()), "{message}");
        assert!(message.contains("another skiff server"), "{message}");
        store.close().await.unwrap();
        open(folder.path()).unwrap().close().await.unwrap();
    });
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let (folder, _) = filled();
    fs::write(folder.path().join("format"), "skiff-store 2\n").unwrap();
    let before = fs::read(folder.path().join("sled/db")).unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::NewerFormat { found: 2, known: 1, .. }), "{error}");
    assert_eq!(fs::read(folder.path().join("sled/db")).unwrap(), before);
    fs::write(folder.path().join("format"), "skiff-store 1\n").unwrap();
    assert_whole(&open(folder.path()).unwrap());
}

#[test]
fn flipped_bits_are_noticed() {
    let (folder, _) = filled();
    let length = fs::metadata(folder.path().join("sled/db")).unwrap().len();
    let mut seen = [0; 3];
    for part in 0..20 {
        let results = damage(folder.path(), |copy| flip(&copy.join("sled/db"), length * part / 20 + part));
        seen.iter_mut().zip(results).for_each(|(sum, n)| *sum += n);
    }
    println!("flipped bits: {} harmless, {} restored, {} refused", seen[0], seen[1], seen[2]);
    assert!(seen[1] > 0 && seen[2] > 0, "{seen:?}");
}

#[test]
fn what_is_cut_off_or_missing_or_garbage_is_noticed() {
    let (folder, _) = filled();
    let length = fs::metadata(folder.path().join("sled/db")).unwrap().len();
    for part in 0..8 {
        let seen = damage(folder.path(), |copy| {
            let file = fs::OpenOptions::new().write(true).open(copy.join("sled/db")).unwrap();
            file.set_len(length * part / 8).unwrap();
        });
        assert!(part > 4 || seen == [0, 1, 1], "cut off at {part}/8: {seen:?}");
    }
    let gone = damage(folder.path(), |copy| fs::remove_file(copy.join("sled/db")).unwrap());
    assert_eq!(gone, [0, 1, 1]);
    let gone = damage(folder.path(), |copy| fs::remove_dir_all(copy.join("sled")).unwrap());
    assert_eq!(gone, [0, 1, 1]);
    let garbage = damage(folder.path(), |copy| fs::write(copy.join("sled/db"), [0x5a; 100_000]).unwrap());
    assert_eq!(garbage, [0, 1, 1]);
    let marker = damage(folder.path(), |copy| fs::write(copy.join("format"), "what?").unwrap());
    assert_eq!(marker, [0, 1, 1]);
    let marker = damage(folder.path(), |copy| fs::remove_file(copy.join("format")).unwrap());
    assert_eq!(marker, [0, 1, 1]);
    let settings = damage(folder.path(), |copy| fs::write(copy.join("sled/conf"), "garbage").unwrap());
    assert_eq!(settings[0] + settings[1] + settings[2], 2);
}

#[test]
fn a_database_that_lost_its_end_is_noticed() {
    let (folder, _) = filled();
    let old = tempfile::tempdir().unwrap();
    copy(folder.path(), old.path());
    let store = open(folder.path()).unwrap();
    let last = run(async {
        let done = store.transact(vec![Op::put(*b"/new", "1")]).await.unwrap();
        store.close().await.unwrap();
        done.revision
    });
    backups(folder.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    copy(&old.path().join("sled"), &folder.path().join("sled"));
    let error = refused(folder.path());
    let OpenError::Corrupt { damage: Damage::Behind { found, expected }, .. } = &error else { panic!("{error}") };
    assert!(*found < last && *expected >= last, "{error}");
}

#[test]
fn a_restored_backup_says_what_it_holds_and_revisions_never_come_back() {
    let (folder, revision) = filled();
    let old = backups(folder.path()).pop().unwrap();
    let kept = fs::read(&old).unwrap();
    let store = open(folder.path()).unwrap();
    let last = run(async {
        let last = store.transact(vec![Op::put(*b"/new", "1")]).await.unwrap().revision;
        store.close().await.unwrap();
        last
    });
    backups(folder.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(&old, kept).unwrap();
    fs::write(folder.path().join("sled/db"), "garbage").unwrap();

    let store = open(folder.path()).unwrap();
    assert_whole(&store);
    let recovery = store.recovery().unwrap();
    assert_eq!((recovery.restored, recovery.acknowledged), (revision, Some(last)));
    assert_eq!(fs::read(recovery.aside.join("db")).unwrap()[..7], *b"garbage", "the damaged database is kept");
    assert!(store.snapshot().revision() > last);
    run(async { store.close().await.unwrap() });
    let store = open(folder.path()).unwrap();
    assert_whole(&store);
    assert!(store.recovery().is_none());
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let (folder, _) = filled();
    fs::write(folder.path().join("sled/db"), "garbage").unwrap();
    let backup = backups(folder.path()).pop().unwrap();
    flip(&backup, 1000);
    let error = refused(folder.path());
    let OpenError::Corrupt { backups, .. } = &error else { panic!("{error}") };
    assert!(backups.contains(&*backup.to_string_lossy()), "{error}");
}

#[test]
fn a_backup_is_written_when_something_changed_and_only_then() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { backup_after: Duration::from_millis(1), ..Options::default() };
        let store = Store::open(folder.path(), options).unwrap();
        store.transact(vec![Op::put(*b"/lease", "1").in_memory()]).await.unwrap();
        let done = store.transact(vec![Op::put(*b"/a", "1")]).await.unwrap();
        let name = folder.path().join(format!("backup-{:020}", done.revision));
        while !name.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        store.close().await.unwrap();
        assert_eq!(backups(folder.path()), [name], "there was nothing new at the end");
    });
}
