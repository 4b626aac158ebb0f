//! The store against a plain map: any sequence of transactions and restarts gives the same answers, the same content,
//! and events from which a watcher can rebuild that content.

use std::collections::BTreeMap;

use proptest::prelude::*;
use skiff_store::{Change, Durability, Entry, Expect, Op, Options, PastError, Snapshot, Store, TransactError, Watch};

use crate::run;

/// What a test does to the store.
#[derive(Clone, Debug)]
enum Step {
    Transact(Vec<Draft>),
    Restart,
}

/// An operation; what it expects becomes concrete only when it is known what is there.
#[derive(Clone, Debug)]
struct Draft {
    key: u8,
    /// The length of the value to put; nothing to delete.
    put: Option<usize>,
    memory: bool,
    expect: Guess,
}

#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    Present,
    Right,
    Wrong,
}

type Map = BTreeMap<Box<[u8]>, Entry>;

fn drafts() -> impl Strategy<Value = Draft> {
    let sizes =
        prop_oneof![6 => (0..20_usize).prop_map(Some), 1 => (130_000..300_000_usize).prop_map(Some), 3 => Just(None)];
    let guess = prop_oneof![
        4 => Just(Guess::Any), 1 => Just(Guess::Absent), 1 => Just(Guess::Present), 2 => Just(Guess::Right),
        1 => Just(Guess::Wrong)
    ];
    (0..6_u8, sizes, proptest::bool::weighted(0.2), guess).prop_map(|(key, put, memory, expect)| Draft {
        key,
        put,
        memory,
        expect,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => proptest::collection::vec(drafts(), 1..4).prop_map(Step::Transact),
        1 => Just(Step::Restart)
    ];
    proptest::collection::vec(step, 1..40)
}

impl Draft {
    fn op(&self, map: &Map, salt: usize) -> Op {
        let key = vec![b'/', b'a' + self.key % 3, b'a' + self.key / 3];
        let current = map.get(&key[..]);
        let expect = match self.expect {
            Guess::Any => Expect::Any,
            Guess::Absent => Expect::Absent,
            Guess::Present => Expect::Present,
            Guess::Right => current.map_or(Expect::Absent, |entry| Expect::Modified(entry.modified)),
            Guess::Wrong => current.map_or(Expect::Present, |entry| Expect::Modified(entry.modified + 1)),
        };
        let op = match self.put {
            Some(length) => Op::put(key, salt.to_le_bytes().into_iter().cycle().take(length).collect::<Vec<_>>()),
            None => Op::delete(key),
        };
        let op = op.expecting(expect);
        if self.memory { op.in_memory() } else { op }
    }
}

/// What the map is after a transaction at `revision`; the error is the operation that cannot be done.
fn apply(map: &Map, ops: &[Op], revision: u64) -> Result<(Map, bool), usize> {
    let mut map = map.clone();
    let mut changed = false;
    for (index, op) in ops.iter().enumerate() {
        let current = map.get(op.key()).cloned();
        if !op.expect().holds(current.as_ref()) {
            return Err(index);
        }
        match op {
            Op::Put { key, value, durability, .. } => {
                let entry = Entry {
                    key: key.clone(),
                    value: value.bytes.clone(),
                    created: current.as_ref().map_or(revision, |entry| entry.created),
                    modified: revision,
                    version: current.map_or(1, |entry| entry.version + 1),
                    durability: *durability,
                };
                map.insert(key.clone(), entry);
                changed = true;
            }
            Op::Delete { key, .. } => changed |= map.remove(key).is_some(),
        }
    }
    Ok((map, changed))
}

fn content(snapshot: &Snapshot) -> Map {
    snapshot.range(b"", None).map(|entry| (entry.key.clone(), Entry::clone(entry))).collect()
}

/// Follows a watch until it has everything, applying its events.
async fn follow(watch: &mut Watch, seen: &mut Map, until: u64) {
    while watch.progress() < until {
        let Some(events) = watch.try_next().unwrap() else {
            tokio::task::yield_now().await;
            continue;
        };
        for event in events {
            match &event.change {
                Change::Put { entry, previous } => {
                    let before = seen.insert(entry.key.clone(), Entry::clone(entry));
                    assert_eq!(before.as_ref(), previous.as_deref());
                }
                Change::Delete { previous, .. } => {
                    assert_eq!(seen.remove(&previous.key).as_ref(), Some(&**previous));
                }
            }
        }
    }
}

async fn check(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), Options::default()).unwrap();
    let mut map = Map::new();
    let mut seen = Map::new();
    let mut watch = store.watch(b"/a", store.snapshot().revision()).unwrap();
    let mut past: BTreeMap<u64, Map> = BTreeMap::new();
    for (salt, step) in steps.into_iter().enumerate() {
        let before = store.snapshot().revision();
        match step {
            Step::Transact(drafts) => {
                let ops: Vec<_> = drafts.iter().map(|draft| draft.op(&map, salt)).collect();
                match (apply(&map, &ops, before + 1), store.transact(ops).await) {
                    (Ok((next, changed)), Ok(done)) => {
                        assert_eq!(done.revision, before + u64::from(changed));
                        map = next;
                    }
                    (Err(index), Err(TransactError::Conflict { index: told, .. })) => assert_eq!(index, told),
                    (expected, got) => panic!("{expected:?} {got:?}"),
                }
            }
            Step::Restart => {
                store.close().await.unwrap();
                store = Store::open(folder.path(), Options::default()).unwrap();
                assert!(store.recovery().is_none());
                assert!(store.snapshot().revision() >= before);
                map.retain(|_, entry| entry.durability == Durability::Disk);
                seen = map.clone().into_iter().filter(|(key, _)| key.starts_with(b"/a")).collect();
                watch = store.watch(b"/a", store.snapshot().revision()).unwrap();
                past.clear();
            }
        }
        past.insert(store.snapshot().revision(), map.clone());
        if salt % 5 == 0 {
            store.keep(&store.snapshot());
        }
        assert_eq!(content(&store.snapshot()), map);
        follow(&mut watch, &mut seen, store.snapshot().revision()).await;
        assert!(seen.iter().eq(map.iter().filter(|(key, _)| key.starts_with(b"/a"))));
    }
    look_back(&store, &past);
    store.close().await.unwrap();
}

/// What was there at each revision is known, unless it is too long ago.
fn look_back(store: &Store, past: &BTreeMap<u64, Map>) {
    for (revision, map) in past {
        for prefix in [&b""[..], b"/a", b"/none"] {
            let there = match store.at(prefix, *revision) {
                Ok(there) => there,
                Err(PastError::Compacted { wanted, oldest }) if wanted == *revision && oldest > wanted => continue,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(there.revision(), *revision);
            let mut found: Map = content(&there);
            found.retain(|key, _| key.starts_with(prefix));
            assert!(found.iter().eq(map.iter().filter(|(key, _)| key.starts_with(prefix))), "{revision}");
        }
    }
    let next = store.snapshot().revision() + 1;
    assert_eq!(store.at(b"", next).err(), Some(PastError::Future { wanted: next, current: next - 1 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_is_like_a_map(steps in steps()) {
        run(check(steps));
    }
}
