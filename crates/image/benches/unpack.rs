//! How fast an image is imported: read, digested, decompressed, digested again, written and synced.
//!
//! `cargo bench -p skiff-image`; `MIB` (default 97) and `FILES` (default 4000) set the layer's size.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;
use skiff_image::{Config, Digest, Images, ImportOptions};

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Seconds of CPU this process took so far: on a busy machine it says more than the clock.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|time| time.num_microseconds() as f64 / 1e6).sum()
}

/// Text-like content: it compresses to about a third, as programs do.
fn layer(bytes: usize, files: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut builder = tar::Builder::new(Vec::new());
    for number in 0..files {
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let word = state % 4096;
            [word as u8, (word >> 8) as u8, b'a', b'b', b'c', b' ']
        })
        .flatten()
        .take(bytes / files)
        .collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let name = format!("usr/share/d{}/e{}/file{number}", number % 40, number % 7);
        builder.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn archive(tar: &[u8], blob: &[u8]) -> Vec<u8> {
    let config = json!({"rootfs": {"diff_ids": [Digest::of(tar)]}}).to_string();
    let manifest =
        json!({"schemaVersion": 2, "config": {"digest": Digest::of(config.as_bytes()), "size": config.len()},
        "layers": [{"digest": Digest::of(blob), "size": blob.len()}]})
        .to_string();
    let index = json!({"manifests": [{"digest": Digest::of(manifest.as_bytes()), "size": manifest.len()}]}).to_string();
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    for bytes in [config.as_bytes(), manifest.as_bytes(), blob] {
        add(format!("blobs/sha256/{}", Digest::of(bytes).hex()), bytes);
    }
    add("index.json".to_owned(), index.as_bytes());
    builder.into_inner().unwrap()
}

fn main() {
    let (mib, files) = (setting("MIB", 97), setting("FILES", 4000));
    let tar = layer(mib << 20, files);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).unwrap();
    let blobs =
        [("plain", tar.clone()), ("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(&tar[..], 3).unwrap())];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("{mib} MiB in {files} files");
    // Deleted at the end only: ext4 searches long for inodes that were not deleted a moment ago.
    let folder = tempfile::tempdir().unwrap();
    for (name, blob) in blobs {
        let path = folder.path().join(format!("{name}.tar"));
        std::fs::write(&path, archive(&tar, &blob)).unwrap();
        let mut times: Vec<(f64, f64)> = (0..5)
            .map(|round| {
                let store = folder.path().join(format!("{name}{round}"));
                runtime.block_on(async {
                    let images = Images::open(&store, Config::default()).await.unwrap();
                    let (start, busy) = (Instant::now(), cpu());
                    images.import(&path, ImportOptions::default()).await.unwrap();
                    (start.elapsed().as_secs_f64(), cpu() - busy)
                })
            })
            .collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (wall, busy) = times[2];
        let rate = mib as f64 / wall;
        println!("{name:>6}: {wall:.3} s, {busy:.3} s of CPU, {rate:.0} MiB/s (blob {} MiB)", blob.len() >> 20);
    }
}
