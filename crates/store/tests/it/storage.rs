//! A disk that is full, and one that fails: no write is acknowledged that is not durable, reads go on, and the store
//! takes writes again when it can.

use std::fs;
use std::io::Write;
use std::time::Duration;

use skiff_store::{Op, Options, Store, TransactError};
use skiff_testkit::disk::Disk;

use crate::{run, skipped};

fn disk(folder: &tempfile::TempDir) -> Option<Disk> {
    match Disk::new(folder.path(), 96 << 20) {
        Ok(disk) => Some(disk),
        Err(error) => {
            skipped(error);
            None
        }
    }
}

fn put(n: u64) -> Vec<Op> {
    vec![Op::put(format!("/{n:06}").into_bytes(), n.to_le_bytes().repeat(4096))]
}

/// Takes all the space that is left but `spare` bytes.
fn fill(disk: &Disk, spare: u64) {
    let mut file = fs::File::create(disk.path().join("filler")).unwrap();
    let piece = vec![1; 64 << 10];
    while file.write_all(&piece).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - spare).unwrap();
    file.sync_all().unwrap();
}

/// Writes until it fails. Returns how many were acknowledged.
async fn write_until_refused(store: &Store) -> u64 {
    for n in 0..20_000 {
        match store.transact(put(n)).await {
            Ok(_) => {}
            Err(TransactError::NotDurable(_)) => return n,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the disk is never full")
}

fn assert_holds(store: &Store, count: u64) {
    let snapshot = store.snapshot();
    assert_eq!(snapshot.len() as u64, count, "what was not acknowledged is not there");
    for (n, entry) in (0..).zip(snapshot.range(b"/", None)) {
        assert_eq!(entry.value, u64::to_le_bytes(n).repeat(4096));
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = disk(&folder) else { return };
    let at = disk.path().join("store");
    run(async {
        let store = Store::open(&at, Options::default()).unwrap();
        let before = store.snapshot().revision();
        fill(&disk, 3 << 20);
        let count = write_until_refused(&store).await;
        let error = store.transact(put(count)).await.unwrap_err();
        assert!(matches!(error, TransactError::Unavailable(_)), "{error}");
        println!("full after {count} writes: {error}");
        assert!(store.health().is_err());
        assert_holds(&store, count);
        assert_eq!(store.snapshot().revision(), before + count);

        fs::remove_file(disk.path().join("filler")).unwrap();
        while let Err(error) = store.transact(put(count)).await {
            assert!(matches!(error, TransactError::Unavailable(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(store.health().is_ok());
        assert_holds(&store, count + 1);
        store.close().await.unwrap();
        let store = Store::open(&at, Options::default()).unwrap();
        assert!(store.recovery().is_none(), "{:?}", store.recovery());
        assert_holds(&store, count + 1);
        store.close().await.unwrap();
    });
}

#[test]
fn opening_on_a_full_disk_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = disk(&folder) else { return };
    let at = disk.path().join("store");
    run(async {
        let store = Store::open(&at, Options::default()).unwrap();
        for n in 0..20 {
            store.transact(put(n)).await.unwrap();
        }
        store.close().await.unwrap();
        fill(&disk, 0);
        match Store::open(&at, Options::default()) {
            Ok(store) => {
                assert_holds(&store, 20);
                let _ = store.close().await;
            }
            Err(error) => println!("refused: {error}"),
        }
        fs::remove_file(disk.path().join("filler")).unwrap();
        let store = Store::open(&at, Options::default()).unwrap();
        assert_holds(&store, 20);
        assert!(store.recovery().is_none());
        store.close().await.unwrap();
    });
}

#[test]
fn a_failing_disk_acknowledges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut disk) = disk(&folder) else { return };
    let at = disk.path().join("store");
    run(async {
        let store = Store::open(&at, Options::default()).unwrap();
        store.transact(put(0)).await.unwrap();
        disk.cut_power().unwrap();
        let error = store.transact(put(1)).await.unwrap_err();
        assert!(matches!(error, TransactError::NotDurable(_)), "{error}");
        assert_holds(&store, 1);
        let _ = store.close().await;
        disk.take_out().unwrap();
        disk.power_on().unwrap();
        let store = Store::open(&at, Options::default()).unwrap();
        assert_holds(&store, 1);
        store.close().await.unwrap();
    });
}
