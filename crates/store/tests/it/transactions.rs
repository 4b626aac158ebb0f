//! Writing and reading: preconditions, revisions, atomicity, what outlives a restart.

use bytes::Bytes;
use skiff_store::{Expect, Op, Options, Snapshot, Store, TransactError, Value};

use crate::{run, store};

fn keys(snapshot: &Snapshot, prefix: &str, after: Option<&str>) -> Vec<String> {
    let entries = snapshot.range(prefix.as_bytes(), after.map(str::as_bytes));
    entries.map(|entry| String::from_utf8(entry.key.to_vec()).unwrap()).collect()
}

#[test]
fn a_write_is_in_the_next_snapshot_and_in_none_before() {
    run(async {
        let (_folder, store) = store();
        let before = store.snapshot();
        let first = store.transact(vec![Op::put(*b"/a", "1")]).await.unwrap();
        let second = store.transact(vec![Op::put(*b"/a", "2")]).await.unwrap();
        assert_eq!(first.revision, before.revision() + 1);
        assert_eq!(second.revision, first.revision + 1);
        assert!(before.get(b"/a").is_none());
        let now = store.snapshot();
        let entry = now.get(b"/a").unwrap();
        assert_eq!((entry.created, entry.modified, entry.version), (first.revision, second.revision, 2));
        assert_eq!(entry.value, "2");
    });
}

#[test]
fn the_revision_is_spliced_into_the_value() {
    run(async {
        let (_folder, store) = store();
        let value = Value::with_revision_at(&b"{\"rv\":\"\"}"[..], 7);
        let done = store.transact(vec![Op::put(*b"/a", value.clone())]).await.unwrap();
        let expected = format!("{{\"rv\":\"{}\"}}", done.revision);
        assert_eq!(done.entries[0].as_ref().unwrap().value, Bytes::from(expected));

        let gone = store.transact(vec![Op::delete(*b"/a").showing(value)]).await.unwrap();
        let last = gone.entries[0].as_ref().unwrap();
        assert_eq!(last.value, Bytes::from(format!("{{\"rv\":\"{}\"}}", gone.revision)));
        assert_eq!((last.created, last.modified), (done.revision, gone.revision));

        let outside = Value::with_revision_at("abc", 4);
        let error = store.transact(vec![Op::put(*b"/a", outside)]).await.unwrap_err();
        assert!(matches!(error, TransactError::Hole { index: 0, offset: 4, length: 3 }), "{error}");
    });
}

#[test]
fn expectations_are_judged_on_the_latest_state() {
    run(async {
        let (_folder, store) = store();
        let first = store.transact(vec![Op::put(*b"/a", "1").expecting(Expect::Absent)]).await.unwrap();
        for expect in [Expect::Absent, Expect::Modified(first.revision + 1), Expect::Modified(0)] {
            let error = store.transact(vec![Op::put(*b"/a", "2").expecting(expect)]).await.unwrap_err();
            let TransactError::Conflict { index: 0, expect: told, current: Some(current) } = error else {
                panic!("{error}")
            };
            assert_eq!((told, current.modified), (expect, first.revision));
        }
        let error = store.transact(vec![Op::delete(*b"/b").expecting(Expect::Present)]).await.unwrap_err();
        assert!(matches!(error, TransactError::Conflict { current: None, .. }), "{error}");
        assert_eq!(store.snapshot().revision(), first.revision, "what is refused takes no revision");
        store.transact(vec![Op::put(*b"/a", "2").expecting(Expect::Modified(first.revision))]).await.unwrap();
        store.transact(vec![Op::delete(*b"/a").expecting(Expect::Present)]).await.unwrap();
        assert!(store.snapshot().is_empty());
    });
}

#[test]
fn a_transaction_happens_as_a_whole_or_not_at_all() {
    run(async {
        let (_folder, store) = store();
        let ops = vec![Op::put(*b"/a", "1"), Op::put(*b"/b", "1"), Op::put(*b"/c", "1").expecting(Expect::Present)];
        let error = store.transact(ops).await.unwrap_err();
        assert!(matches!(error, TransactError::Conflict { index: 2, .. }), "{error}");
        assert!(store.snapshot().is_empty());

        let ops = vec![Op::put(*b"/a", "1"), Op::put(*b"/a", "2").expecting(Expect::Present), Op::delete(*b"/z")];
        let done = store.transact(ops).await.unwrap();
        assert_eq!(done.entries.iter().filter(|entry| entry.is_some()).count(), 2);
        assert_eq!(store.snapshot().get(b"/a").unwrap().value, "2");

        let nothing = store.transact(vec![Op::delete(*b"/z")]).await.unwrap();
        assert_eq!(nothing.revision, done.revision, "what changes nothing takes no revision");
    });
}

#[test]
fn of_writers_that_expect_the_same_one_wins() {
    run(async {
        let (_folder, store) = store();
        let first = store.transact(vec![Op::put(*b"/a", "0")]).await.unwrap().revision;
        let writers = (0..64).map(|n| {
            let store = store.clone();
            let op = Op::put(*b"/a", format!("{n}")).expecting(Expect::Modified(first));
            tokio::spawn(async move { store.transact(vec![op]).await.is_ok() })
        });
        let mut won = 0;
        for writer in writers.collect::<Vec<_>>() {
            won += usize::from(writer.await.unwrap());
        }
        assert_eq!(won, 1);
    });
}

#[test]
fn lists_are_in_order_and_can_be_continued() {
    run(async {
        let (_folder, store) = store();
        let names = ["/p/a", "/p/b", "/p/c", "/pq", "/o/z"];
        store.transact(names.iter().map(|name| Op::put(name.as_bytes(), "x")).collect()).await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!(keys(&snapshot, "/p/", None), ["/p/a", "/p/b", "/p/c"]);
        assert_eq!(keys(&snapshot, "/p/", Some("/p/a")), ["/p/b", "/p/c"]);
        assert_eq!(keys(&snapshot, "/p/", Some("/p/aa")), ["/p/b", "/p/c"]);
        assert_eq!(keys(&snapshot, "/p/", Some("/p/c")), Vec::<String>::new());
        assert_eq!(keys(&snapshot, "/p/", Some("/a")), ["/p/a", "/p/b", "/p/c"]);
        assert_eq!(snapshot.count(b""), 5);
        store.transact(vec![Op::delete(*b"/p/b")]).await.unwrap();
        assert_eq!(keys(&snapshot, "/p/", None).len(), 3, "a snapshot stays as it was");
        assert_eq!(keys(&store.snapshot(), "/p/", None), ["/p/a", "/p/c"]);
    });
}

#[test]
fn disk_outlives_a_restart_memory_does_not_and_revisions_go_on() {
    run(async {
        let (folder, store) = store();
        let large = vec![b'x'; 300 << 10];
        store.transact(vec![Op::put(*b"/large", large.clone())]).await.unwrap();
        store.transact(vec![Op::put(*b"/shrunk", large.clone())]).await.unwrap();
        store.transact(vec![Op::put(*b"/shrunk", "small")]).await.unwrap();
        store.transact(vec![Op::put(*b"/gone", large.clone())]).await.unwrap();
        store.transact(vec![Op::delete(*b"/gone")]).await.unwrap();
        store.transact(vec![Op::put(*b"/moved", "disk")]).await.unwrap();
        store.transact(vec![Op::put(*b"/moved", "memory").in_memory()]).await.unwrap();
        let kept = store.snapshot().get(b"/shrunk").unwrap().clone();
        let last = store.transact(vec![Op::put(*b"/lease", "1").in_memory()]).await.unwrap().revision;
        assert_eq!(store.snapshot().len(), 4);
        store.close().await.unwrap();
        assert!(matches!(store.transact(vec![Op::delete(*b"/large")]).await, Err(TransactError::Closed)));

        let store = Store::open(folder.path(), Options::default()).unwrap();
        let snapshot = store.snapshot();
        assert_eq!(keys(&snapshot, "", None), ["/large", "/shrunk"]);
        assert_eq!(snapshot.get(b"/large").unwrap().value, large);
        assert_eq!(snapshot.get(b"/shrunk"), Some(&kept));
        assert_eq!(snapshot.revision(), last + 1, "a clean restart skips no revisions but its own");
        assert!(store.recovery().is_none());
    });
}

#[test]
fn many_transactions_at_once_have_a_revision_each() {
    run(async {
        let (_folder, store) = store();
        let first = store.snapshot().revision() + 1;
        let puts = (0..3000).map(|n| vec![Op::put(format!("/{n:05}").into_bytes(), "x")]).collect();
        let done = store.transact_each(puts).await;
        let revisions: Vec<_> = done.into_iter().map(|done| done.unwrap().revision).collect();
        assert_eq!(revisions, (first..first + 3000).collect::<Vec<_>>());
    });
}
