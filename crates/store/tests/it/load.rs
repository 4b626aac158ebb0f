//! Writers in a process of their own, and the check of what they leave behind.
//!
//! The process is this test binary again, asked for the one test `load::child`. Each writer overwrites pairs of keys,
//! both in one transaction, and reports every acknowledgement over a pipe. Whatever happens to the process then: each
//! pair must hold one and the same number, one that is not older than the last acknowledged.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use skiff_store::{Op, Options, Store};

use crate::run;

const FOLDER: &str = "SKIFF_STORE_LOAD_FOLDER";
const BEGIN: &str = "SKIFF_STORE_LOAD_BEGIN";
/// Writers of small and of large values.
const WRITERS: u64 = 8;
/// Pairs that each writer uses in turn.
const SLOTS: u64 = 20;

/// The largest number acknowledged for each pair.
pub(crate) type Acknowledged = HashMap<(u64, u64), u64>;

/// The process.
pub(crate) struct Load {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Load {
    /// Starts it on the store in `folder`; its numbers begin at `begin`.
    pub(crate) fn start(folder: &Path, begin: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "load::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(BEGIN, begin.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Takes up to `count` acknowledgements.
    pub(crate) fn acknowledged(&mut self, count: usize, known: &mut Acknowledged) -> usize {
        let mut seen = 0;
        while seen < count {
            let Some(Ok(line)) = self.lines.next() else { break };
            // The first one comes behind words of the test harness.
            let Some((_, rest)) = line.split_once("ack ") else { continue };
            let mut numbers = rest.split(' ').map(|number| number.parse::<u64>().unwrap());
            let (writer, number) = (numbers.next().unwrap(), numbers.next().unwrap());
            known.insert((writer, number % SLOTS), number);
            seen += 1;
        }
        seen
    }

    /// Kills the process, and takes what it still said.
    pub(crate) fn kill(mut self, known: &mut Acknowledged) {
        self.child.kill().unwrap();
        self.acknowledged(usize::MAX, known);
        self.child.wait().unwrap();
    }
}

fn key(side: &str, writer: u64, slot: u64) -> Vec<u8> {
    format!("/{side}/{writer}/{slot}").into_bytes()
}

fn value(writer: u64, number: u64) -> Vec<u8> {
    let size = if writer.is_multiple_of(2) { 1 << 10 } else { 16 << 10 };
    let mut value = number.to_le_bytes().repeat(size / 8);
    value[8..16].copy_from_slice(&writer.to_le_bytes());
    value
}

/// Checks everything that is in the store against what was acknowledged.
pub(crate) fn verify(store: &Store, known: &Acknowledged) {
    assert!(store.recovery().is_none(), "nothing had to be restored: {:?}", store.recovery());
    let snapshot = store.snapshot();
    for writer in 0..WRITERS {
        for slot in 0..SLOTS {
            let acknowledged = known.get(&(writer, slot)).copied();
            let (a, b) = (snapshot.get(&key("a", writer, slot)), snapshot.get(&key("b", writer, slot)));
            let pair = a.zip(b);
            assert_eq!(a.is_some(), b.is_some(), "half of a batch: {writer} {slot}");
            let Some((a, b)) = pair else {
                assert_eq!(acknowledged, None, "an acknowledged write is gone: {writer} {slot}");
                continue;
            };
            let number = u64::from_le_bytes(*a.value.first_chunk().unwrap());
            assert_eq!(a.value, value(writer, number), "not what was written");
            assert_eq!((&a.value, a.modified), (&b.value, b.modified), "half of a batch: {writer} {slot}");
            assert!(acknowledged.is_none_or(|last| number >= last), "{writer} {slot}: {number} < {acknowledged:?}");
        }
    }
}

/// Writes until it is killed. Does nothing unless it was started by [`Load::start`].
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let begin: u64 = std::env::var(BEGIN).unwrap().parse().unwrap();
    run(async move {
        let store = Store::open(folder, Options::default()).unwrap();
        let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, begin))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(store: Store, writer: u64, begin: u64) {
    for number in begin.. {
        let sides = ["a", "b"].map(|side| Op::put(key(side, writer, number % SLOTS), value(writer, number)));
        if store.transact(sides.into()).await.is_err() {
            return;
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {writer} {number}").unwrap();
        out.flush().unwrap();
    }
}
