//! A process killed in the middle of imports leaves whole images or none, and garbage that the next start removes.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use skiff_image::{Config, Images, ImportOptions};

use crate::fixture::{Fixture, Layer, Looks, PLAIN, Packing, leftovers, run};

const FOLDER: &str = "SKIFF_IMAGE_KILL_FOLDER";
const ROUNDS: u64 = 20;
const FILES: usize = 150;

fn content(number: usize) -> String {
    format!("{number} ").repeat(number * 7)
}

fn fixture() -> Fixture {
    let layer = |start: usize| {
        (start..start + FILES).fold(Layer::new(), |layer, number| {
            layer.entry(
                &format!("d{}/f{number}", number % 7),
                tar::EntryType::Regular,
                "",
                content(number).as_bytes(),
                Looks { uid: 1, ..PLAIN },
            )
        })
    };
    Fixture::new(Some("victim"), vec![layer(0), layer(FILES)], Packing::Gzip)
}

/// The process to be killed: imports and removes without end. Only does so when started by the test below.
#[test]
fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    run(async {
        let images = Images::open(format!("{folder}/images"), Config::default()).await.unwrap();
        println!("\nstarted");
        loop {
            images.import(format!("{folder}/image.tar"), ImportOptions::default()).await.unwrap();
            images.remove("victim", &HashSet::new()).await.unwrap();
        }
    });
}

#[test]
fn kills_leave_whole_images_or_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("image.tar"), fixture().oci_tar()).unwrap();
    let store = folder.path().join("images");
    let (mut whole, mut garbage) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::victim", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "started"));
        // Not a wait for something to be done: the moment of the kill is what varies.
        std::thread::sleep(Duration::from_millis(round * 37 % 200));
        child.kill().unwrap();
        child.wait().unwrap();
        garbage += usize::from(!leftovers(&store).is_empty());
        run(async {
            let images = Images::open(&store, Config::default()).await.unwrap();
            match images.find("victim").unwrap() {
                None => assert_eq!(leftovers(&store), Vec::<std::path::PathBuf>::new()),
                Some(image) => {
                    whole += 1;
                    for number in 0..2 * FILES {
                        let layer = &image.layers[1 - number / FILES];
                        let file = layer.join(format!("d{}/f{number}", number % 7));
                        assert_eq!(std::fs::read_to_string(file).unwrap(), content(number));
                    }
                    // Two layers, a manifest and a configuration.
                    assert_eq!(leftovers(&store).len(), 4);
                }
            }
        });
    }
    assert!(garbage > 0, "no kill came in the middle of anything ({whole} of {ROUNDS} whole)");
}
