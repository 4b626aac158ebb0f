//! Crashes: the process is killed, the power is cut, again and again, under load. Whatever was acknowledged is there
//! afterwards, and no transaction is there by halves.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use skiff_store::{Options, Store};
use skiff_testkit::disk::Disk;

use crate::load::{Acknowledged, Load, verify};
use crate::{run, skipped};

const ROUNDS: u64 = 50;
/// After how many acknowledgements a crash comes, at most.
const MOMENTS: u64 = 300;

/// Lets the process work for a random while, crashes it by `crash`, lets `recover` make the folder readable again, and
/// checks it.
fn crash_again_and_again(folder: &Path, world: &mut impl World) {
    let random = RandomState::new();
    let mut known: Acknowledged = HashMap::new();
    let mut total = 0;
    for round in 0..ROUNDS {
        let moment = 1 + random.hash_one(round) % MOMENTS;
        let mut load = Load::start(folder, (round + 1) << 32);
        let seen = load.acknowledged(usize::try_from(moment).unwrap(), &mut known);
        assert_eq!(seen as u64, moment, "the process ended by itself in round {round}");
        world.crash();
        load.kill(&mut known);
        world.recover();
        run(async {
            let store =
                Store::open(folder, Options::default()).unwrap_or_else(|error| panic!("round {round}: {error}"));
            verify(&store, &known);
            store.close().await.unwrap();
        });
        total += moment;
    }
    println!("{ROUNDS} crashes during {total} acknowledged transactions of two keys each");
}

/// What else crashes with the process.
trait World {
    fn crash(&mut self) {}
    fn recover(&mut self) {}
}

struct Nothing;
impl World for Nothing {}

impl World for Disk {
    fn crash(&mut self) {
        self.cut_power().unwrap();
    }

    fn recover(&mut self) {
        self.take_out().unwrap();
        self.power_on().unwrap();
    }
}

#[test]
fn killed_at_random_moments() {
    let folder = tempfile::tempdir().unwrap();
    crash_again_and_again(&folder.path().join("store"), &mut Nothing);
}

#[test]
fn power_cut_at_random_moments() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = match Disk::new(folder.path(), 512 << 20) {
        Ok(disk) => disk,
        Err(error) => {
            skipped(error);
            return;
        }
    };
    let store = disk.path().join("store");
    crash_again_and_again(&store, &mut disk);
}
