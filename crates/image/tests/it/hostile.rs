//! Layers built to write elsewhere, to fill the disk or to fool overlayfs: each is refused, says which layer and entry
//! it was, and leaves nothing behind.

use skiff_image::{Config, Devices, Limits};

use crate::fixture::{Fixture, Layer, PLAIN, Packing, Place, run};

fn names_layer_and_entry(error: &str, entry: &str) {
    assert!(error.contains("layer sha256:") && error.contains(&format!("entry {entry:?}")), "{error}");
}

#[test]
fn names_that_climb_out_are_refused() {
    run(async {
        let place = Place::new().await;
        for name in ["../evil", "a/../../evil", "..", "a/..", "/../evil"] {
            let error = place.refusal(Layer::new().file(name, "x")).await;
            names_layer_and_entry(&error, name);
            assert!(error.contains("leads out of the layer"), "{error}");
        }
        assert!(!place.folder.path().join("evil").exists());
    });
}

#[test]
fn an_absolute_name_stays_in_the_layer() {
    run(async {
        let place = Place::new().await;
        let layer = Layer::new().file("/skiff-absolute-name", "inside");
        let image = place.one(&Fixture::new(None, vec![layer], Packing::Gzip)).await;
        assert_eq!(std::fs::read(image.layers[0].join("skiff-absolute-name")).unwrap(), b"inside");
        assert!(!std::path::Path::new("/skiff-absolute-name").exists());
    });
}

#[test]
fn links_that_climb_out_are_not_followed() {
    run(async {
        let place = Place::new().await;
        let outside = place.folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        for target in ["../../../../outside", "a/../../x", ".."] {
            let error = place.refusal(Layer::new().symlink("way", target).file("way/evil", "x")).await;
            names_layer_and_entry(&error, "way/evil");
            assert!(error.contains("leads out of the layer through the link \"way\""), "{error}");
        }
        // Absolute ones are taken as in a container: they stay below the layer's root.
        let target = outside.to_str().unwrap();
        let layer = Layer::new().symlink("way", target).file("way/evil", "x");
        let image = place.one(&Fixture::new(None, vec![layer], Packing::Gzip)).await;
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        assert!(image.layers[0].join(target.trim_start_matches('/')).join("evil").exists());
    });
}

#[test]
fn a_link_in_place_of_a_file_is_replaced_and_not_written_through() {
    run(async {
        let place = Place::new().await;
        let victim = place.folder.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        let layer = Layer::new().symlink("file", victim.to_str().unwrap()).file("file", "mine");
        let image = place.one(&Fixture::new(None, vec![layer], Packing::Gzip)).await;
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(std::fs::read(image.layers[0].join("file")).unwrap(), b"mine");
    });
}

#[test]
fn links_without_end_and_files_as_folders_are_refused() {
    run(async {
        let place = Place::new().await;
        let error = place.refusal(Layer::new().symlink("a", "b").symlink("b", "a").file("a/x", "x")).await;
        names_layer_and_entry(&error, "a/x");
        let error = place.refusal(Layer::new().symlink("a", "/b").symlink("b", "/a").file("a/x", "x")).await;
        assert!(error.contains("endless link"), "{error}");
        let error = place.refusal(Layer::new().file("a", "x").file("a/x", "x")).await;
        assert!(error.contains("lies below \"a\", which is not a folder"), "{error}");
    });
}

#[test]
fn hard_links_stay_in_the_layer() {
    run(async {
        let place = Place::new().await;
        let error = place.refusal(Layer::new().hard_link("a", "../../../etc/passwd")).await;
        assert!(error.contains("leads out of the layer through its link target"), "{error}");
        for target in ["/etc/passwd", "missing", "a"] {
            let error = place.refusal(Layer::new().folder("a", 0o755).hard_link("b", target)).await;
            names_layer_and_entry(&error, "b");
            assert!(error.contains("which is not in the layer"), "{error}");
        }
        let error = place.refusal(Layer::new().symlink("way", "../../..").hard_link("b", "way/x")).await;
        assert!(error.contains("leads out of the layer"), "{error}");
    });
}

#[test]
fn device_nodes_need_permission_and_dev_is_left_out() {
    run(async {
        let place = Place::new().await;
        let error = place.refusal(Layer::new().device("sda", 8, 0)).await;
        assert!(error.contains("entry \"sda\" is a device node (8:0)"), "{error}");
        let layer = Layer::new().device("dev/null", 1, 3).file("dev/readme", "x");
        let image = place.one(&Fixture::new(None, vec![layer], Packing::Gzip)).await;
        assert!(!image.layers[0].join("dev/null").exists() && image.layers[0].join("dev/readme").exists());

        let place = Place::with(Config { devices: Devices::Create, ..Config::default() }).await;
        let image = place.one(&Fixture::new(None, vec![Layer::new().device("null", 1, 3)], Packing::Gzip)).await;
        let stat = nix::sys::stat::stat(&image.layers[0].join("null")).unwrap();
        assert_eq!((stat.st_rdev, stat.st_mode & 0o7777), (nix::sys::stat::makedev(1, 3), 0o666));
        // This one would be a whiteout without being called one.
        let fixture = Fixture::new(None, vec![Layer::new().device("zero", 0, 0)], Packing::Gzip);
        assert!(place.import(&fixture.oci_tar()).await.unwrap_err().to_string().contains("(0:0)"));
    });
}

#[test]
fn overlay_attributes_and_strange_whiteouts_are_refused() {
    run(async {
        let place = Place::new().await;
        let layer = Layer::new().pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/etc")]).folder("a", 0o755);
        let error = place.refusal(layer).await;
        assert!(error.contains("sets the attribute \"trusted.overlay.redirect\""), "{error}");
        for name in [".wh.", ".wh...", "a/.wh.."] {
            let error = place.refusal(Layer::new().file(name, "")).await;
            assert!(error.contains("a whiteout must name a file"), "{name}: {error}");
        }
    });
}

#[test]
fn bombs_are_stopped() {
    run(async {
        let limits = Limits { entries: 50, layer_bytes: 8 << 20, ratio: 20, ratio_from: 1 << 20, ..Limits::default() };
        let place = Place::with(Config { limits, ..Config::default() }).await;
        let many = (0..60).fold(Layer::new(), |layer, number| layer.file(&format!("f{number}"), ""));
        assert!(place.refusal(many).await.contains("more than 50 entries"));
        let zeros = vec![0; 4 << 20];
        let dense = Layer::new().entry("zeros", tar::EntryType::Regular, "", &zeros, PLAIN);
        assert!(place.refusal(dense).await.contains("more than 20 unpacked bytes for each compressed one"));
        let large = Layer::new().entry("zeros", tar::EntryType::Regular, "", &vec![0; 9 << 20], PLAIN);
        let fixture = Fixture::new(None, vec![large], Packing::Plain);
        let error = place.import(&fixture.oci_tar()).await.unwrap_err().to_string();
        assert!(error.contains("more than 8388608 unpacked bytes"), "{error}");
        let layers = (0..300).map(|_| Layer::new()).collect();
        let error = place.import(&Fixture::new(None, layers, Packing::Gzip).oci_tar()).await.unwrap_err().to_string();
        assert!(error.contains("the image has 300 layers, and the limit is 256"), "{error}");
    });
}

#[test]
fn endless_names_and_broken_records_are_refused() {
    run(async {
        let place = Place::new().await;
        let long = vec![b'a'; 2 << 20];
        let layer = Layer::new().entry("x", tar::EntryType::GNULongName, "", &long, PLAIN).file("y", "");
        assert!(place.refusal(layer).await.contains("over 1 MiB"));
        for record in [&b"9 path=\n"[..], b"x", b"99 path=a\n", b"3 a", b"12 uid=hello\n"] {
            let layer = Layer::new().entry("x", tar::EntryType::XHeader, "", record, PLAIN).file("y", "");
            let error = place.refusal(layer).await;
            assert!(error.contains("a pax record is malformed"), "{record:?}: {error}");
        }
        let layer = Layer::new().entry("x", tar::EntryType::GNUSparse, "", b"", PLAIN);
        assert!(place.refusal(layer).await.contains("unsupported kind \"sparse file\""));
        let layer = Layer::new().entry(&"n".repeat(90), tar::EntryType::new(b'Z'), "", b"", PLAIN);
        assert!(place.refusal(layer).await.contains("unsupported kind \"Z\""));
    });
}
