//! How fast the store is: opening, durable writes alone and together, lists, watches. Prints a table and JSON.
//!
//! `cargo bench -p skiff-store` writes to a folder in `TMPDIR`: let that be on the disk that is to be measured.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use skiff_store::{Op, Options, Store};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::default();

    let start = Instant::now();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    table.add("open, new", "ms", ms(start.elapsed()));
    for writers in [1, 64] {
        for size in [256, 2048] {
            runtime.block_on(puts(&store, writers, size, &mut table));
        }
    }
    runtime.block_on(fill(&store, &mut table));
    list(&store, &mut table);
    runtime.block_on(watches(&store, &mut table));

    let start = Instant::now();
    runtime.block_on(store.close()).unwrap();
    table.add("close, with backup", "ms", ms(start.elapsed()));
    let start = Instant::now();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    table.add(&format!("open, {} entries", store.snapshot().len()), "ms", ms(start.elapsed()));
    runtime.block_on(store.close()).unwrap();
    table.print();
}

/// Figures with their names and units.
#[derive(Default)]
struct Table(Vec<(String, &'static str, f64)>);

impl Table {
    fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        println!("{name:<40} {value:>12.3} {unit}");
        self.0.push((name.to_owned(), unit, value));
    }

    fn print(&self) {
        let rows = self.0.iter().map(|(name, unit, value)| {
            format!("  {{\"name\": \"{name}\", \"unit\": \"{unit}\", \"value\": {value:.3}}}")
        });
        println!("[\n{}\n]", rows.collect::<Vec<_>>().join(",\n"));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Durable puts of new keys by writers that each wait for their answer.
async fn puts(store: &Store, writers: usize, size: usize, table: &mut Table) {
    let end = Instant::now() + Duration::from_secs(2);
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let key = format!("/puts/{writers}/{size}/{writer}/{}", times.len());
                    let start = Instant::now();
                    store.transact(vec![Op::put(key.into_bytes(), vec![b'x'; size])]).await.unwrap();
                    times.push(start.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort_unstable();
    let name = format!("puts, {size} bytes, {writers} writers");
    #[allow(clippy::cast_precision_loss)]
    table.add(&name, "per s", times.len() as f64 / 2.0);
    table.add(&format!("{name}: median"), "ms", ms(times[times.len() / 2]));
    table.add(&format!("{name}: p99"), "ms", ms(times[times.len() * 99 / 100]));
}

/// 10,000 objects of 690 bytes at once, and their deletion.
async fn fill(store: &Store, table: &mut Table) {
    let key = |n: usize| format!("/configmaps/default/object-{n:05}").into_bytes();
    let puts = (0..10_000).map(|n| vec![Op::put(key(n), vec![b'x'; 690])]).collect();
    let start = Instant::now();
    assert!(store.transact_each(puts).await.iter().all(Result::is_ok));
    table.add("create 10,000 at once", "ms", ms(start.elapsed()));
    let deletes = (0..10_000).map(|n| vec![Op::delete(key(n))]).collect();
    let start = Instant::now();
    assert!(store.transact_each(deletes).await.iter().all(Result::is_ok));
    table.add("delete 10,000 at once", "ms", ms(start.elapsed()));
    let puts = (0..10_000).map(|n| vec![Op::put(key(n), vec![b'x'; 690])]).collect();
    assert!(store.transact_each(puts).await.iter().all(Result::is_ok));
}

fn list(store: &Store, table: &mut Table) {
    let mut times: Vec<_> = (0..100)
        .map(|_| {
            let start = Instant::now();
            let snapshot = store.snapshot();
            let mut body = Vec::with_capacity(8 << 20);
            for entry in snapshot.range(b"/configmaps/default/", None) {
                body.extend_from_slice(&entry.value);
                body.push(b',');
            }
            assert_eq!(body.len(), 691 * 10_000);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    table.add("list 10,000 (6.9 MB copied)", "ms", ms(times[50]));
    let mut times: Vec<_> = (0..100)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(store.snapshot().count(b"/configmaps/default/"), 10_000);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    table.add("walk 10,000", "ms", ms(times[50]));
}

/// 100 writes one after another, seen by 1,000 watchers.
async fn watches(store: &Store, table: &mut Table) {
    const WATCHERS: usize = 1000;
    const EVENTS: usize = 100;
    let from = store.snapshot().revision();
    let tasks: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut watch = store.watch(b"/watched/", from).unwrap();
            tokio::spawn(async move {
                let mut seen = Vec::with_capacity(EVENTS);
                while seen.len() < EVENTS {
                    let events = watch.next().await.unwrap();
                    seen.extend(events.iter().map(|_| Instant::now()));
                }
                seen
            })
        })
        .collect();
    let start = Instant::now();
    let mut written = Vec::new();
    for n in 0..EVENTS {
        store.transact(vec![Op::put(format!("/watched/{n}").into_bytes(), vec![b'x'; 690])]).await.unwrap();
        written.push(Instant::now());
    }
    let mut delays = Vec::new();
    for task in tasks {
        let seen = task.await.unwrap();
        delays.extend(seen.iter().zip(&written).map(|(seen, written)| seen.saturating_duration_since(*written)));
    }
    delays.sort_unstable();
    #[allow(clippy::cast_precision_loss)]
    let rate = (WATCHERS * EVENTS) as f64 / start.elapsed().as_secs_f64();
    table.add("watch, 1,000 watchers x 100 events", "per s", rate);
    table.add("watch: acknowledged to seen, median", "ms", ms(delays[delays.len() / 2]));
    table.add("watch: acknowledged to seen, p99", "ms", ms(delays[delays.len() * 99 / 100]));
}
