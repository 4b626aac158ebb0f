//! Names, removal, sharing and what the store says about itself.

use std::collections::HashSet;

use skiff_image::{Config, Images, ImportOptions, Usage};

use crate::fixture::{Fixture, Layer, Packing, Place, leftovers, run};

fn image(name: &str, top: &str) -> Fixture {
    let base = Layer::new().file("base", "shared base");
    Fixture::new(Some(name), vec![base, Layer::new().file("top", top)], Packing::Gzip)
}

#[test]
fn layers_are_shared_and_freed_with_their_last_image() {
    run(async {
        let place = Place::new().await;
        let one = place.one(&image("one", "1")).await;
        let two = place.one(&image("two", "22")).await;
        assert_eq!(one.layers[1], two.layers[1]);
        let usage = place.images.usage().await.unwrap();
        assert_eq!((usage.images, usage.layers), (2, 3));
        assert!(usage.bytes > 11 + 1 + 2);
        let gone = place.images.remove("one", &HashSet::new()).await.unwrap();
        assert_eq!(gone, [one.id]);
        assert!(!one.layers[0].exists() && two.layers[1].exists());
        assert_eq!(place.images.remove("two:latest", &HashSet::new()).await.unwrap(), [two.id]);
        assert_eq!(leftovers(&place.store()), Vec::<std::path::PathBuf>::new());
        assert_eq!(place.images.usage().await.unwrap(), Usage::default());
        let error = place.images.remove("two", &HashSet::new()).await.unwrap_err().to_string();
        assert_eq!(error, "image \"two\" not found");
    });
}

#[test]
fn images_in_use_stay() {
    run(async {
        let place = Place::new().await;
        let image = place.one(&image("busy", "1")).await;
        let in_use = HashSet::from([image.id]);
        for what in ["busy", &image.id.to_string()] {
            let error = place.images.remove(what, &in_use).await.unwrap_err().to_string();
            assert_eq!(error, format!("image {what:?} is in use by a container; stop it first"));
        }
        assert_eq!(place.images.find("busy").unwrap().unwrap(), image);
    });
}

#[test]
fn a_name_moves_to_the_newer_image_and_the_older_stays_by_its_id() {
    run(async {
        let place = Place::new().await;
        let old = place.one(&image("app", "old")).await;
        let new = place.one(&image("app", "new")).await;
        assert_eq!(place.images.find("app").unwrap().unwrap().id, new.id);
        let kept = place.images.find(&old.id.to_string()).unwrap().unwrap();
        assert_eq!((kept.names.len(), kept.layers), (0, old.layers));
        assert_eq!(place.images.remove(&old.id.hex()[..10], &HashSet::new()).await.unwrap(), [old.id]);
        assert_eq!(place.images.list().unwrap().len(), 1);
    });
}

#[test]
fn one_name_of_several_can_go() {
    run(async {
        let place = Place::new().await;
        let first = place.one(&image("first", "x")).await;
        let path = place.write(&image("first", "x").oci_tar());
        let options = ImportOptions { name: Some("second".parse().unwrap()), ..ImportOptions::default() };
        place.images.import(path, options).await.unwrap();
        let in_use = HashSet::from([first.id]);
        assert_eq!(place.images.remove("first", &in_use).await.unwrap(), []);
        assert_eq!(place.images.find("first").unwrap(), None);
        assert_eq!(place.images.find("second").unwrap().unwrap().id, first.id);
    });
}

#[test]
fn everything_is_there_after_reopening_and_for_a_second_process() {
    run(async {
        let place = Place::new().await;
        // A second handle stands for a second process: it shares nothing but the folder.
        let other = Images::open(place.store(), Config::default()).await.unwrap();
        let image = place.one(&image("app", "x")).await;
        assert_eq!(other.find("app").unwrap().unwrap(), image);
        let reopened = Images::open(place.store(), Config::default()).await.unwrap();
        assert_eq!(reopened.list().unwrap(), std::slice::from_ref(&image));
        other.remove("app", &HashSet::new()).await.unwrap();
        assert_eq!(place.images.list().unwrap(), []);
    });
}

#[test]
fn garbage_goes_when_the_store_is_opened_and_broken_images_are_forgotten() {
    run(async {
        let place = Place::new().await;
        let image = place.one(&image("app", "x")).await;
        let store = place.store();
        for folder in [format!("layers/{}", "0".repeat(64)), "layers/odd".to_owned(), "ingest/1-2-3/fs".to_owned()] {
            std::fs::create_dir_all(store.join(folder)).unwrap();
        }
        std::fs::write(store.join("blobs/sha256").join("1".repeat(64)), "x").unwrap();
        let before = leftovers(&store).len();
        let images = Images::open(&store, Config::default()).await.unwrap();
        assert_eq!(leftovers(&store).len(), before - 4);
        assert_eq!(images.find("app").unwrap().unwrap(), image);
        std::fs::remove_dir_all(image.layers[0].parent().unwrap()).unwrap();
        let images = Images::open(&store, Config::default()).await.unwrap();
        assert_eq!(images.list().unwrap(), []);
        assert_eq!(leftovers(&store), Vec::<std::path::PathBuf>::new());
    });
}

#[test]
fn a_damaged_or_newer_index_is_a_clear_refusal() {
    run(async {
        let place = Place::new().await;
        place.one(&image("app", "x")).await;
        let index = place.store().join("index.json");
        std::fs::write(&index, "{\"format\":99,\"images\":[]}").unwrap();
        let error = Images::open(place.store(), Config::default()).await.unwrap_err().to_string();
        assert!(error.contains("has format 99, and this release knows up to 1"), "{error}");
        std::fs::write(&index, "{\"format\":1,\"im").unwrap();
        let error = Images::open(place.store(), Config::default()).await.unwrap_err().to_string();
        assert!(error.contains("is damaged") && error.contains("remove that file"), "{error}");
        // Nothing was thrown away over it.
        assert!(!leftovers(&place.store()).is_empty());
    });
}

#[test]
fn imports_at_the_same_time_do_not_disturb_one_another() {
    run(async {
        let place = Place::new().await;
        let imports = (0..8).map(|number| {
            let (images, path) =
                (place.images.clone(), place.write(&image(&format!("app{number}"), &number.to_string()).oci_tar()));
            tokio::spawn(async move { images.import(path, ImportOptions::default()).await })
        });
        for import in imports.collect::<Vec<_>>() {
            import.await.unwrap().unwrap();
        }
        let usage = place.images.usage().await.unwrap();
        assert_eq!((usage.images, usage.layers), (8, 9));
    });
}
