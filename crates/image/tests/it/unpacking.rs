//! What arrives on disk: looks, links, attributes, and the forms that overlayfs reads.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use skiff_linux::xattr;

use crate::fixture::{Fixture, Layer, Looks, PLAIN, Packing, Place, run};

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    xattr::get(File::open(path).unwrap(), OsStr::new(name)).unwrap()
}

fn is_whiteout(path: &Path) -> bool {
    let meta = std::fs::symlink_metadata(path).unwrap();
    meta.file_type().is_char_device() && meta.rdev() == 0
}

#[test]
fn looks_links_and_attributes_are_kept() {
    run(async {
        let looks = Looks { mode: 0o4755, uid: 1000, gid: 2000, mtime: 1_234_567_890 };
        // A capability set holds a line feed and NUL bytes, as any binary value may.
        let capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00";
        let layer = Layer::new()
            .folder("sub", 0o1777)
            .entry("sub/program", tar::EntryType::Regular, "", b"code", looks)
            .pax(&[
                ("SCHILY.xattr.security.capability", capability),
                ("SCHILY.xattr.user.note", b"hi"),
                ("mtime", b"1500000000.25"),
            ])
            .file("sub/ping", "p")
            .hard_link("sub/same", "sub/program")
            .entry("sub/link", tar::EntryType::Symlink, "program", b"", looks)
            .entry("sub/pipe", tar::EntryType::Fifo, "", b"", looks)
            .pax(&[("path", "sub/ünï/".repeat(20).as_bytes()), ("uid", b"3000000")])
            .file("short", "long name");
        let place = Place::new().await;
        let image = place.one(&Fixture::new(None, vec![layer], Packing::Zstd)).await;
        let sub = image.layers[0].join("sub");
        let program = std::fs::metadata(sub.join("program")).unwrap();
        assert_eq!(
            (program.mode() & 0o7777, program.uid(), program.gid(), program.mtime()),
            (0o4755, 1000, 2000, 1_234_567_890)
        );
        assert_eq!((program.nlink(), std::fs::metadata(sub.join("same")).unwrap().ino()), (2, program.ino()));
        let folder = std::fs::metadata(&sub).unwrap();
        assert_eq!((folder.mode() & 0o7777, folder.mtime()), (0o1777, 1_000_000_000));
        let ping = std::fs::metadata(sub.join("ping")).unwrap();
        assert_eq!((ping.mtime(), ping.mtime_nsec()), (1_500_000_000, 250_000_000));
        assert_eq!(attribute(&sub.join("ping"), "security.capability").unwrap(), capability);
        assert_eq!(attribute(&sub.join("ping"), "user.note").unwrap(), b"hi");
        let link = std::fs::symlink_metadata(sub.join("link")).unwrap();
        assert_eq!(
            (std::fs::read_link(sub.join("link")).unwrap().to_str(), link.uid(), link.mtime()),
            (Some("program"), 1000, 1_234_567_890)
        );
        assert!(std::fs::metadata(sub.join("pipe")).unwrap().file_type().is_fifo());
        let long = image.layers[0].join("sub/ünï/".repeat(20));
        assert!(long.is_dir());
        // The store itself is closed to others, so that set-user-id programs in it cannot be run.
        assert_eq!(std::fs::metadata(place.store()).unwrap().permissions().mode() & 0o777, 0o700);
    });
}

#[test]
fn folders_left_out_look_like_those_they_hide() {
    run(async {
        let base = Layer::new().entry(
            "home",
            tar::EntryType::Directory,
            "",
            b"",
            Looks { mode: 0o750, uid: 7, gid: 8, mtime: 1 },
        );
        let top = Layer::new().file("home/new/file", "x");
        let place = Place::new().await;
        let image = place.one(&Fixture::new(None, vec![base, top], Packing::Gzip)).await;
        let home = std::fs::metadata(image.layers[0].join("home")).unwrap();
        assert_eq!((home.mode() & 0o7777, home.uid(), home.gid()), (0o750, 7, 8));
        assert_eq!(std::fs::metadata(image.layers[0].join("home/new")).unwrap().mode() & 0o7777, 0o755);
    });
}

#[test]
fn entries_below_an_absolute_link_land_where_a_container_sees_them() {
    run(async {
        let layer = Layer::new()
            .folder("run", 0o755)
            .symlink("var/run", "/run")
            .file("var/run/pid", "1")
            .whiteout_of("var/run/old");
        let place = Place::new().await;
        let image = place.one(&Fixture::new(None, vec![layer], Packing::Gzip)).await;
        assert_eq!(std::fs::read(image.layers[0].join("run/pid")).unwrap(), b"1");
        assert!(is_whiteout(&image.layers[0].join("run/old")));
    });
}

impl Layer {
    fn whiteout_of(self, name: &str) -> Self {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        self.file(&format!("{folder}/.wh.{file}"), "")
    }
}

fn changed() -> Fixture {
    let base = Layer::new()
        .folder("keep", 0o755)
        .file("keep/a", "a")
        .file("gone", "x")
        .folder("cleared", 0o755)
        .file("cleared/old", "x")
        .file("turned/old", "x")
        .file("kept-file", "old");
    let top = Layer::new()
        .whiteout_of("gone")
        .file("cleared/.wh..wh..opq", "")
        .file("cleared/new", "n")
        .file(".wh..wh.plnk", "")
        // First hidden, then made anew in the same layer, and the other way round.
        .whiteout_of("turned")
        .file("turned/new", "n")
        .file("kept-file", "new")
        .whiteout_of("kept-file");
    Fixture::new(Some("changed"), vec![base, top], Packing::Gzip)
}

#[test]
fn whiteouts_take_overlayfs_form() {
    run(async {
        let place = Place::new().await;
        let image = place.one(&changed()).await;
        let top = &image.layers[0];
        assert!(is_whiteout(&top.join("gone")));
        for folder in ["cleared", "turned"] {
            assert_eq!(attribute(&top.join(folder), "trusted.overlay.opaque").unwrap(), b"y", "{folder}");
        }
        assert!(!top.join(".wh..wh.plnk").exists());
    });
}

#[test]
fn the_kernel_agrees_about_the_whole() {
    run(async {
        let place = Place::new().await;
        let image = place.one(&changed()).await;
        let at = place.folder.path().join("merged");
        std::fs::create_dir(&at).unwrap();
        let lower: Vec<String> = image.layers.iter().map(|layer| layer.to_str().unwrap().to_owned()).collect();
        // A mount namespace of one thread, which ends with it.
        let seen = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            let options = format!("lowerdir={}", lower.join(":"));
            mount(Some("overlay"), &at, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str())).unwrap();
            let names = |folder: &str| {
                let list = std::fs::read_dir(at.join(folder)).unwrap();
                let mut names: Vec<String> =
                    list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
                names.sort();
                names
            };
            let kept = std::fs::read_to_string(at.join("kept-file")).unwrap();
            (names(""), names("cleared"), names("turned"), names("keep"), kept)
        });
        let (root, cleared, turned, keep, kept) = seen.join().unwrap();
        assert_eq!(root, ["cleared", "keep", "kept-file", "turned"]);
        assert_eq!(
            (cleared, turned, keep, kept.as_str()),
            (vec!["new".to_owned()], vec!["new".to_owned()], vec!["a".to_owned()], "new")
        );
    });
}

#[test]
fn an_empty_layer_and_an_image_without_layers_are_fine() {
    run(async {
        let place = Place::new().await;
        assert_eq!(place.one(&Fixture::new(None, vec![Layer::new()], Packing::Gzip)).await.layers.len(), 1);
        assert_eq!(place.one(&Fixture::new(None, vec![], Packing::Gzip)).await.layers.len(), 0);
        let root = Layer::new().entry("./", tar::EntryType::Directory, "", b"", Looks { mode: 0o711, uid: 5, ..PLAIN });
        let image = place.one(&Fixture::new(None, vec![root], Packing::Gzip)).await;
        let meta = std::fs::metadata(&image.layers[0]).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o711, 5));
    });
}
