//! Watching: no gaps, no strangers, no cost for others.

use std::time::Duration;

use skiff_store::{Change, Format, Op, Options, PastError, Store, WatchError, WindowLimits};

use crate::{run, store};

fn narrow(limits: WindowLimits) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options { window: limits, ..Options::default() }).unwrap();
    (folder, store)
}

#[test]
fn a_watch_gets_what_comes_after_its_revision_under_its_prefix() {
    run(async {
        let (_folder, store) = store();
        store.transact(vec![Op::put(*b"/p/a", "1")]).await.unwrap();
        let from = store.snapshot().revision();
        store.transact(vec![Op::put(*b"/p/a", "2")]).await.unwrap();
        let mut watch = store.watch(b"/p/", from).unwrap();
        store.transact(vec![Op::put(*b"/q/a", "x")]).await.unwrap();
        store.transact(vec![Op::delete(*b"/p/a").showing("last")]).await.unwrap();

        let mut events = watch.next().await.unwrap();
        while events.len() < 2 {
            events.extend(watch.next().await.unwrap());
        }
        assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [from + 1, from + 3]);
        let Change::Put { entry, previous: Some(previous) } = &events[0].change else { panic!("{:?}", events[0]) };
        assert_eq!((&entry.value[..], &previous.value[..]), (&b"2"[..], &b"1"[..]));
        let Change::Delete { previous, last } = &events[1].change else { panic!("{:?}", events[1]) };
        assert_eq!((&previous.value[..], &last.value[..]), (&b"2"[..], &b"last"[..]));
        assert_eq!(last.modified, from + 3);
    });
}

#[test]
fn watches_of_one_key_and_of_everything_see_the_same_event() {
    run(async {
        let (_folder, store) = store();
        let from = store.snapshot().revision();
        let (mut all, mut one) = (store.watch(b"", from).unwrap(), store.watch(b"/a", from).unwrap());
        store.transact(vec![Op::put(*b"/a", "1")]).await.unwrap();
        let (of_all, of_one) = (all.next().await.unwrap(), one.next().await.unwrap());
        assert!(std::sync::Arc::ptr_eq(&of_all[0], &of_one[0]));
        for (format, bytes) in [(Format::Text, "text"), (Format::Binary, "binary")] {
            assert_eq!(all.encoded(&of_all[0], format, || bytes.into()), bytes);
            assert_eq!(one.encoded(&of_one[0], format, || panic!("encoded twice")), bytes);
        }
    });
}

#[test]
fn a_large_transaction_arrives_whole() {
    run(async {
        let (_folder, store) = store();
        let mut watch = store.watch(b"/", store.snapshot().revision()).unwrap();
        let ops = (0..5000).map(|n| Op::put(format!("/{n}").into_bytes(), "x")).collect();
        store.transact(ops).await.unwrap();
        let mut seen = 0;
        while seen < 5000 {
            seen += watch.next().await.unwrap().len();
        }
        assert_eq!(seen, 5000);
        assert!(watch.try_next().unwrap().is_none());
    });
}

#[test]
fn progress_moves_on_without_events_of_ones_own() {
    run(async {
        let (_folder, store) = store();
        let from = store.snapshot().revision();
        let mut watch = store.watch(b"/p/", from).unwrap();
        let mut other = store.watch(b"/q/", from).unwrap();
        store.transact(vec![Op::put(*b"/q/a", "1")]).await.unwrap();
        other.next().await.unwrap();
        assert_eq!(other.progress(), from + 1);
        assert_eq!(watch.progress(), from + 1);
        store.transact(vec![Op::put(*b"/p/a", "1")]).await.unwrap();
        while watch.try_next().unwrap().is_none() {
            assert!(watch.progress() <= from + 1, "what was not handed out is no progress");
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_slow_watch_loses_its_place_and_the_others_do_not() {
    run(async {
        let (_folder, store) = narrow(WindowLimits { events: 10, ..WindowLimits::default() });
        let from = store.snapshot().revision();
        let mut slow = store.watch(b"/p/", from).unwrap();
        let mut quick = store.watch(b"/p/", from).unwrap();
        let mut idle = store.watch(b"/idle/", from).unwrap();
        for n in 0..20 {
            store.transact(vec![Op::put(*b"/p/a", format!("{n}"))]).await.unwrap();
            assert_eq!(quick.next().await.unwrap().len(), 1);
        }
        assert_eq!(slow.next().await.unwrap_err(), WatchError::Overrun { seen: from });
        let oldest = from + 10;
        let error = store.watch(b"/p/", from).err().unwrap();
        assert_eq!(error, WatchError::Compacted { wanted: from, oldest });
        assert_eq!(store.watch(b"/p/", oldest).unwrap().next().await.unwrap().len(), 10);
        store.transact(vec![Op::put(*b"/idle/a", "1")]).await.unwrap();
        assert_eq!(idle.next().await.unwrap().len(), 1, "nothing of its own was ever lost");
    });
}

#[test]
fn the_window_is_bounded_by_memory_and_age() {
    run(async {
        let limits = [
            WindowLimits { bytes: 100_000, ..WindowLimits::default() },
            WindowLimits { age: Duration::ZERO, ..WindowLimits::default() },
        ];
        for limits in limits {
            let (_folder, store) = narrow(limits);
            let from = store.snapshot().revision();
            for _ in 0..20 {
                store.transact(vec![Op::put(*b"/a", vec![0_u8; 10_000])]).await.unwrap();
            }
            // Events are published just after the answer: wait until the last one is.
            let mut watch = store.watch(b"/none", store.snapshot().revision() - 1).ok();
            while watch.as_mut().is_some_and(|watch| watch.progress() < from + 20) {
                tokio::task::yield_now().await;
            }
            assert!(matches!(store.watch(b"/a", from + 5), Err(WatchError::Compacted { .. })));
        }
    });
}

#[test]
fn closing_ends_watches_after_their_last_event() {
    run(async {
        let (_folder, store) = store();
        let from = store.snapshot().revision();
        let mut watch = store.watch(b"/", from).unwrap();
        let waiting = tokio::spawn({
            let mut idle = store.watch(b"/none", from).unwrap();
            async move { idle.next().await.unwrap_err() }
        });
        store.transact(vec![Op::put(*b"/a", "1")]).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(watch.next().await.unwrap().len(), 1);
        assert_eq!(watch.next().await.unwrap_err(), WatchError::Closed);
        assert_eq!(waiting.await.unwrap(), WatchError::Closed);
        assert_eq!(store.snapshot().len(), 1, "reads go on");
    });
}

/// Waits until everything up to now is in the window.
async fn published(store: &Store) {
    let mut last = store.watch(b"", store.snapshot().revision() - 1).unwrap();
    last.next().await.unwrap();
}

#[test]
fn encodings_count_among_what_the_window_holds() {
    run(async {
        let (_folder, store) = narrow(WindowLimits { bytes: 1 << 20, ..WindowLimits::default() });
        let from = store.snapshot().revision();
        let mut watch = store.watch(b"/", from).unwrap();
        for n in 0..100_u64 {
            store.transact(vec![Op::put(*b"/a", "small")]).await.unwrap();
            let event = watch.next().await.unwrap().remove(0);
            assert_eq!(event.revision, from + n + 1);
            for format in [Format::Text, Format::Binary] {
                watch.encoded(&event, format, || vec![0; 64 << 10].into());
            }
        }
        published(&store).await;
        let Err(WatchError::Compacted { oldest, .. }) = store.watch(b"/", from) else { panic!("all are there") };
        // Eight of them fill it; the newest was encoded after the last look.
        assert!((from + 90..from + 93).contains(&oldest), "{} of 100", oldest - from);
    });
}

#[test]
fn a_reader_holds_a_bounded_part_of_what_is_there() {
    run(async {
        let (_folder, store) = store();
        let mut watch = store.watch(b"/", store.snapshot().revision()).unwrap();
        for _ in 0..40 {
            store.transact(vec![Op::put(*b"/a", vec![0_u8; 64 << 10])]).await.unwrap();
        }
        published(&store).await;
        let mut seen = 0;
        while seen < 40 {
            let events = watch.next().await.unwrap();
            assert!((1..=4).contains(&events.len()), "{}", events.len());
            seen += events.len();
        }
    });
}

#[test]
fn a_kept_moment_goes_when_it_keeps_too_much() {
    run(async {
        let (_folder, store) = narrow(WindowLimits { events: 4, bytes: 1 << 20, ..WindowLimits::default() });
        let put = async |length: usize| store.transact(vec![Op::put(*b"/a", vec![1_u8; length])]).await.unwrap();
        put(1).await;
        let moment = store.snapshot();
        store.keep(&moment);
        for _ in 0..10 {
            put(10_000).await;
        }
        published(&store).await;
        let kept = store.at(b"/", moment.revision()).unwrap();
        assert_eq!(kept.get(b"/a").unwrap().value.len(), 1, "the window itself has moved past it");
        let error = store.at(b"/", moment.revision() + 1).err().unwrap();
        assert!(matches!(error, PastError::Compacted { oldest, .. } if oldest == moment.revision() + 6), "{error}");
        assert_eq!(store.at(b"/", moment.revision() + 8).unwrap().revision(), moment.revision() + 8);
        for _ in 0..11 {
            put(100_000).await;
        }
        published(&store).await;
        assert!(store.at(b"/", moment.revision()).is_err());
    });
}
