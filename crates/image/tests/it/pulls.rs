//! Pulling, with all that a registry and a network may answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use skiff_image::{Config, Digest, Keyring, OnProgress, Progress, PullFault};

use crate::fixture::{Fixture, Layer, Packing, Place, leftovers, run};
use crate::registry::{Door, Registry};

fn app(content: &str) -> Fixture {
    let base = Layer::new().file("base", "base");
    Fixture::new(None, vec![base, Layer::new().file("app", content)], Packing::Gzip)
}

async fn refusal(place: &Place, registry: &Registry, image: &str, keyring: &Keyring) -> String {
    let error = place.images.pull(&registry.reference(image), keyring, None).await.unwrap_err();
    assert_eq!(error.reason(), "ErrImagePull");
    error.to_string()
}

#[test]
fn a_pull_brings_the_image_its_name_and_its_digest() {
    run(async {
        let registry = Registry::open().await;
        let (fixture, place) = (app("one"), Place::with(registry.config()).await);
        registry.put("team/app", "v1", &fixture);
        let (seen, reference) = (Arc::new(Mutex::new(Vec::new())), registry.reference("team/app:v1"));
        let listener = Arc::clone(&seen);
        let progress: OnProgress = Arc::new(move |step: &Progress| listener.lock().unwrap().push(step.clone()));
        let image = place.images.pull(&reference, &Keyring::anonymous(), Some(progress)).await.unwrap();
        assert_eq!(image.id, fixture.blobs[0].0);
        assert_eq!(image.names, [reference.to_string()]);
        assert_eq!(image.digests, [reference.at(fixture.digest()).to_string()]);
        assert_eq!(std::fs::read(image.layers[0].join("app")).unwrap(), b"one");
        let seen = seen.lock().unwrap().clone();
        assert!(matches!(seen[0], Progress::Resolved { layers: 2, missing: 2, .. }), "{seen:?}");
        assert_eq!(seen.last(), Some(&Progress::Stored { id: image.id }));
        // By its digest it is the same image, and no layer is fetched again.
        let before = registry.blob_requests();
        let again = place.images.pull(&reference.at(fixture.digest()), &Keyring::anonymous(), None).await.unwrap();
        assert_eq!((again.id, registry.blob_requests() - before), (image.id, 1));
    });
}

#[test]
fn a_moved_tag_fetches_only_what_is_new() {
    run(async {
        let registry = Registry::open().await;
        let place = Place::with(registry.config()).await;
        registry.put("app", "latest", &app("one"));
        let reference = registry.reference("app");
        let old = place.images.pull(&reference, &Keyring::anonymous(), None).await.unwrap();
        let before = registry.blob_requests();
        registry.put("app", "latest", &app("two"));
        let new = place.images.pull(&reference, &Keyring::anonymous(), None).await.unwrap();
        // The configuration and one layer.
        assert_eq!(registry.blob_requests() - before, 2);
        assert_eq!(old.layers[1], new.layers[1]);
        assert_eq!(place.images.find(&reference.to_string()).unwrap().unwrap().id, new.id);
    });
}

#[test]
fn pulls_at_the_same_time_share_one_download() {
    run(async {
        let registry = Registry::start(Door::Open, Duration::from_millis(50)).await;
        let place = Place::with(registry.config()).await;
        registry.put("app", "latest", &app("x"));
        let (reference, keyring) = (registry.reference("app"), Keyring::anonymous());
        let pulls = (0..6).map(|_| place.images.pull(&reference, &keyring, None));
        for image in futures::future::join_all(pulls).await {
            image.unwrap();
        }
        assert_eq!(registry.blob_requests(), 3);
        // One that is given up does not take the others with it.
        registry.put("other", "latest", &app("y"));
        let other = registry.reference("other");
        let first = place.images.pull(&other, &keyring, None);
        let second = place.images.pull(&other, &keyring, None);
        let (given_up, kept) = tokio::join!(tokio::time::timeout(Duration::from_millis(20), first), second);
        assert!(given_up.is_err() && kept.is_ok());
    });
}

#[test]
fn an_index_leads_to_this_platform() {
    run(async {
        let registry = Registry::open().await;
        let (fixture, place) = (app("x"), Place::with(registry.config()).await);
        registry.put("app", "single", &fixture);
        let descriptor = |platform: serde_json::Value| json!({"digest": fixture.digest(), "size": fixture.manifest_bytes().len(), "platform": platform});
        let other = json!({"os": "linux", "architecture": "s390x"});
        let index = |manifests: Vec<serde_json::Value>| {
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
                .to_string()
                .into_bytes()
        };
        let both = index(vec![descriptor(other.clone()), descriptor(fixture.platform.clone())]);
        registry.put_manifest("app", "multi", both.clone());
        let reference = registry.reference("app:multi");
        let image = place.images.pull(&reference, &Keyring::anonymous(), None).await.unwrap();
        assert_eq!(image.digests, [reference.at(Digest::of(&both)).to_string()]);
        registry.put_manifest("app", "foreign", index(vec![descriptor(other)]));
        let error = refusal(&place, &registry, "app:foreign", &Keyring::anonymous()).await;
        assert!(error.contains("no match for platform linux/") && error.contains("linux/s390x"), "{error}");
    });
}

#[test]
fn what_is_not_there_and_what_is_not_given_is_told_apart() {
    run(async {
        let registry = Registry::open().await;
        let place = Place::with(registry.config()).await;
        let name = registry.reference("nope");
        let error = refusal(&place, &registry, "nope", &Keyring::anonymous()).await;
        assert_eq!(
            error,
            format!(
                "failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {name}: not found"
            )
        );
        for door in [Door::Basic, Door::Token] {
            let registry = Registry::start(door, Duration::ZERO).await;
            let place = Place::with(registry.config()).await;
            registry.put("app", "latest", &app("secret"));
            for keyring in [Keyring::anonymous(), registry.keyring("wrong")] {
                let error = refusal(&place, &registry, "app", &keyring).await;
                assert!(
                    error.contains("pull access denied, repository does not exist or may require authorization"),
                    "{error}"
                );
                assert!(!error.contains("wrong"), "{error}");
            }
            // The second entry that applies is tried when the first one is turned away.
            let mut keyring = registry.keyring("wrong");
            keyring.add(
                &registry.address,
                skiff_image::Auth::Basic { username: "ship".to_owned(), password: "anchor".to_owned() },
            );
            place.images.pull(&registry.reference("app"), &keyring, None).await.unwrap();
        }
    });
}

#[test]
fn wrong_content_is_never_stored() {
    run(async {
        let registry = Registry::open().await;
        let (fixture, place) = (app("good"), Place::with(registry.config()).await);
        registry.put("app", "latest", &fixture);
        let (layer, blob) = fixture.blobs[2].clone();
        let mut wrong = blob.clone();
        wrong[20] ^= 1;
        for (bytes, said) in [
            (wrong, format!("layer has the wrong digest: expected {layer}")),
            (blob[..blob.len() - 1].to_vec(), format!("layer {layer} has the wrong size")),
            ([blob.clone(), vec![0]].concat(), format!("layer {layer} has the wrong size")),
        ] {
            registry.put_blob(layer, bytes);
            let error = refusal(&place, &registry, "app", &Keyring::anonymous()).await;
            assert!(error.contains(&said), "{error}");
        }
        registry.drop_blob(layer);
        let error = refusal(&place, &registry, "app", &Keyring::anonymous()).await;
        assert!(error.ends_with(&format!("layer {layer} is missing")), "{error}");
        // A manifest that is not what was asked for.
        let asked = Digest::of(b"asked for");
        registry.put_manifest("app", &asked.to_string(), fixture.manifest_bytes());
        let error = refusal(&place, &registry, &format!("app@{asked}"), &Keyring::anonymous()).await;
        assert!(error.contains("manifest has the wrong digest: expected"), "{error}");
        assert_eq!(place.images.list().unwrap(), []);
        let images = skiff_image::Images::open(place.store(), Config::default()).await.unwrap();
        assert_eq!((images.list().unwrap(), leftovers(&place.store())), (vec![], vec![]));
    });
}

#[test]
fn a_hostile_layer_is_named_in_the_error() {
    run(async {
        let registry = Registry::open().await;
        let place = Place::with(registry.config()).await;
        registry.put("evil", "latest", &Fixture::new(None, vec![Layer::new().file("../x", "")], Packing::Zstd));
        let error = refusal(&place, &registry, "evil", &Keyring::anonymous()).await;
        assert!(
            error.contains("failed to extract layer sha256:") && error.contains("entry \"../x\" leads out"),
            "{error}"
        );
    });
}

#[test]
fn a_registry_on_this_machine_may_do_without_tls() {
    run(async {
        let registry = Registry::start(Door::Basic, Duration::ZERO).await;
        registry.put("app", "latest", &app("local"));
        let place = Place::new().await;
        let name = registry.reference("app");
        let error = place.images.pull(&name, &registry.keyring("wrong"), None).await.unwrap_err();
        assert!(matches!(*error.cause, PullFault::Denied { .. }), "{error}");
        place.images.pull(&name, &registry.keyring("anchor"), None).await.unwrap();
    });
}

#[test]
fn without_a_registry_the_answer_is_quick_and_clear() {
    run(async {
        let place = Place::with(Config { plain_http: vec!["127.0.0.1:9".to_owned()], ..Config::default() }).await;
        let started = Instant::now();
        let name = "127.0.0.1:9/app".parse().unwrap();
        let error = place.images.pull(&name, &Keyring::anonymous(), None).await.unwrap_err();
        assert!(matches!(*error.cause, PullFault::Unreachable { .. }));
        let error = error.to_string();
        assert!(
            error.contains("failed to resolve reference \"127.0.0.1:9/app:latest\"") && error.contains("refused"),
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn without_a_network_the_answer_is_quick_and_clear() {
    // A network namespace of this thread, without so much as a loopback that is up.
    let (error, took) = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        run(async {
            let (place, started) = (Place::new().await, Instant::now());
            let name = "nope.example.com/app".parse().unwrap();
            let error = place.images.pull(&name, &Keyring::anonymous(), None).await.unwrap_err();
            (error.to_string(), started.elapsed())
        })
    })
    .join()
    .unwrap();
    let start = "failed to pull and unpack image \"nope.example.com/app:latest\": failed to resolve reference";
    assert!(error.starts_with(start) && error.contains("dns error"), "{error}");
    assert!(took < Duration::from_secs(35), "{took:?}");
    println!("{took:?}: {error}");
}

#[test]
fn a_registry_that_says_nothing_is_given_up() {
    run(async {
        // Accepts connections by its backlog and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let config =
            Config { plain_http: vec![address.clone()], resolve_timeout: Duration::from_secs(1), ..Config::default() };
        let place = Place::with(config).await;
        let name = format!("{address}/app").parse().unwrap();
        let error = place.images.pull(&name, &Keyring::anonymous(), None).await.unwrap_err().to_string();
        assert!(error.ends_with(&format!("no answer from {address} within 1 s")), "{error}");
    });
}
