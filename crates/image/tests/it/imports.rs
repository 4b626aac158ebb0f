//! Archives and layouts of all kinds, and what is said about broken ones.

use serde_json::json;
use skiff_image::{Digest, ImportOptions};

use crate::fixture::{Fixture, Layer, Packing, Place, leftovers, pack, run, tar_of};

fn sample(packing: Packing) -> Fixture {
    let base = Layer::new().folder("bin", 0o755).file("bin/app", "program").file("etc/a", "old");
    let top = Layer::new().file("etc/a", "new");
    Fixture::new(Some("httpenv"), vec![base, top], packing)
}

#[test]
fn every_compression_and_form_gives_the_same_image() {
    run(async {
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let fixture = sample(packing);
            for (form, bytes) in [("oci", fixture.oci_tar()), ("docker", fixture.docker_tar())] {
                for outer in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
                    let place = Place::new().await;
                    let images = place.import(&pack(&bytes, outer)).await.unwrap();
                    let image = &images[0];
                    assert_eq!(image.names, ["docker.io/library/httpenv:latest"], "{form} {packing:?} {outer:?}");
                    assert_eq!(image.id, fixture.blobs[0].0);
                    assert_eq!(std::fs::read_to_string(image.layers[0].join("etc/a")).unwrap(), "new");
                    assert_eq!(std::fs::read_to_string(image.layers[1].join("etc/a")).unwrap(), "old");
                    assert_eq!(image.size, 7 + 3 + 3);
                    let ingest: Vec<_> = std::fs::read_dir(place.store().join("ingest")).unwrap().collect();
                    assert!(ingest.is_empty());
                }
            }
        }
    });
}

#[test]
fn a_layout_folder_is_imported_and_its_config_understood() {
    run(async {
        let (place, fixture) = (Place::new().await, sample(Packing::Gzip));
        let folder = place.folder.path().join("layout");
        for (name, bytes) in fixture.files() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let images = place.images.import(&folder, ImportOptions::default()).await.unwrap();
        let config = &images[0].config;
        assert_eq!((&config.entrypoint, &config.cmd), (&vec!["/bin/app".to_owned()], &vec!["--now".to_owned()]));
        assert_eq!(config.env, ["PATH=/bin", "A=b"]);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("1000:1000", "/srv"));
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(
            (&config.volumes[..], &config.exposed_ports[..]),
            (&["/data".to_owned()][..], &["8888/tcp".to_owned()][..])
        );
        let digest = format!("docker.io/library/httpenv@{}", fixture.digest());
        assert_eq!((images[0].digests.clone(), images[0].image_id()), (vec![digest.clone()], digest.clone()));
        for what in [
            "httpenv",
            "docker.io/library/httpenv:latest",
            &digest,
            &images[0].id.to_string(),
            &images[0].id.hex()[..12],
        ] {
            assert_eq!(place.images.find(what).unwrap().unwrap(), images[0], "{what}");
        }
        assert_eq!(place.images.find("other").unwrap(), None);
        assert!(place.images.find("Not A Name").is_err());
    });
}

#[test]
fn a_given_name_replaces_the_archives() {
    run(async {
        let (place, fixture) = (Place::new().await, sample(Packing::Gzip));
        let path = place.write(&fixture.oci_tar());
        let options = ImportOptions { name: Some("mine:v1".parse().unwrap()), ..ImportOptions::default() };
        let images = place.images.import(&path, options).await.unwrap();
        assert_eq!(images[0].names, ["docker.io/library/mine:v1"]);
        assert_eq!(place.images.find("httpenv").unwrap(), None);
    });
}

#[test]
fn an_index_leads_to_this_platform_or_says_what_there_is() {
    run(async {
        let mut other = sample(Packing::Gzip);
        other.platform = json!({"os": "plan9", "architecture": "mips", "variant": "le"});
        let place = Place::new().await;
        let error = place.import(&other.oci_tar()).await.unwrap_err().to_string();
        assert!(error.contains("no match for platform linux/") && error.contains("plan9/mips/le"), "{error}");

        // An index within index.json, as docker buildx writes it.
        let fixture = sample(Packing::Gzip);
        let manifest = fixture.manifest_bytes();
        let nested = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [
            {"digest": Digest::of(b"elsewhere"), "size": 9, "platform": other.platform},
            {"digest": fixture.digest(), "size": manifest.len(), "platform": fixture.platform},
            {"digest": Digest::of(b"attested"), "size": 8, "platform": {"os": "unknown", "architecture": "unknown"}},
        ]}))
        .unwrap();
        let top = json!({"manifests": [{"digest": Digest::of(&nested), "size": nested.len(),
            "annotations": {"io.containerd.image.name": "docker.io/library/multi:v1"}}]});
        let mut files = fixture.files();
        files.retain(|(name, _)| name != "index.json");
        files.push((format!("blobs/sha256/{}", Digest::of(&nested).hex()), nested.clone()));
        files.push(("index.json".to_owned(), serde_json::to_vec(&top).unwrap()));
        let images = place.import(&tar_of(&files)).await.unwrap();
        assert_eq!(images[0].names, ["docker.io/library/multi:v1"]);
        assert_eq!(images[0].digests, [format!("docker.io/library/multi@{}", Digest::of(&nested))]);
    });
}

async fn refusal(place: &Place, bytes: &[u8]) -> String {
    let error = place.import(bytes).await.unwrap_err().to_string();
    assert_eq!(leftovers(&place.store()), Vec::<std::path::PathBuf>::new(), "{error}");
    assert!(error.starts_with("cannot import /"), "{error}");
    error
}

#[test]
fn truncated_archives_are_named_as_such_wherever_they_end() {
    run(async {
        let place = Place::new().await;
        let whole = sample(Packing::Gzip).oci_tar();
        for length in [100, 700, whole.len() / 4, whole.len() / 2] {
            let error = refusal(&place, &whole[..length]).await;
            assert!(error.contains("truncated") || error.contains("missing") || error.contains("no image"), "{error}");
        }
        for outer in [Packing::Gzip, Packing::Zstd] {
            let packed = pack(&whole, outer);
            let error = refusal(&place, &packed[..packed.len() / 2]).await;
            assert!(error.contains("truncated or damaged"), "{error}");
        }
        let mut fixture = sample(Packing::Gzip);
        let blob = &mut fixture.layers[0].1;
        blob.truncate(blob.len() - 20);
        fixture.seal();
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains("layer sha256:") && error.contains("truncated or damaged"), "{error}");
    });
}

#[test]
fn what_is_no_image_is_said_to_be_none() {
    run(async {
        let place = Place::new().await;
        assert!(refusal(&place, b"").await.contains("it is no image"));
        assert!(refusal(&place, b"hello").await.contains("truncated or damaged"));
        assert!(refusal(&place, &tar_of(&[("a".to_owned(), vec![1])])).await.contains("it is no image"));
        let error = place.images.import("/nonexistent.tar", ImportOptions::default()).await.unwrap_err().to_string();
        assert_eq!(error, "cannot import /nonexistent.tar: No such file or directory (os error 2)");
    });
}

#[test]
fn wrong_digests_sizes_and_missing_blobs_are_told_apart() {
    run(async {
        let place = Place::new().await;
        // The same length, other content.
        let mut fixture = sample(Packing::Plain);
        let other = Layer::new().folder("bin", 0o755).file("bin/app", "PROGRAM").file("etc/a", "old").tar();
        fixture.blobs[1].1 = other;
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains("layer sha256:") && error.contains("wrong digest: expected sha256:"), "{error}");

        let mut fixture = sample(Packing::Gzip);
        fixture.blobs[2].1.push(0);
        assert!(refusal(&place, &fixture.oci_tar()).await.contains("wrong size"));

        let mut fixture = sample(Packing::Gzip);
        fixture.config["rootfs"]["diff_ids"][1] = json!(Digest::of(b"other"));
        fixture.seal();
        assert!(refusal(&place, &fixture.oci_tar()).await.contains("wrong diff id"));
        assert!(refusal(&place, &fixture.docker_tar()).await.contains("wrong diff id"));

        let mut fixture = sample(Packing::Gzip);
        let config = fixture.blobs[0].0;
        fixture.blobs[0].1[1] ^= 1;
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains(&format!("config has the wrong digest: expected {config}")), "{error}");

        let mut fixture = sample(Packing::Gzip);
        let (layer, _) = fixture.blobs.remove(2);
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.ends_with(&format!("layer {layer} is missing")), "{error}");
    });
}

#[test]
fn documents_that_make_no_sense_are_refused() {
    run(async {
        let place = Place::new().await;
        let mut fixture = sample(Packing::Gzip);
        fixture.config["rootfs"]["diff_ids"].as_array_mut().unwrap().pop();
        fixture.seal();
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains("the manifest lists 2 layers, but the config has 1 diff_ids"), "{error}");

        let mut fixture = sample(Packing::Gzip);
        fixture.manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains("config has the unsupported media type"), "{error}");

        let mut fixture = sample(Packing::Gzip);
        fixture.manifest["layers"][0]["digest"] = json!("sha256:../../../etc/passwd");
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains("invalid checksum digest length"), "{error}");

        let mut fixture = sample(Packing::Gzip);
        fixture.name = Some("Not a name".to_owned());
        let error = refusal(&place, &fixture.oci_tar()).await;
        assert!(error.contains("couldn't parse image name \"Not a name\""), "{error}");
    });
}

#[test]
fn layers_linked_within_a_docker_archive_are_found() {
    run(async {
        let place = Place::new().await;
        let fixture = Fixture::new(
            Some("linked"),
            vec![Layer::new().file("a", "x"), Layer::new().file("a", "x")],
            Packing::Plain,
        );
        let config = serde_json::to_vec(&fixture.config).unwrap();
        let manifest = json!([{"Config": "c.json", "RepoTags": null, "Layers": ["one/layer.tar", "two/layer.tar"]}]);
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("c.json", &config),
            ("manifest.json", &serde_json::to_vec(&manifest).unwrap()),
            ("one/layer.tar", &fixture.layers[0].0),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "two/layer.tar", "../one/layer.tar").unwrap();
        let images = place.import(&builder.into_inner().unwrap()).await.unwrap();
        assert_eq!((images[0].names.len(), images[0].layers.len()), (0, 2));
        assert_eq!(images[0].image_id(), images[0].id.to_string());
    });
}

#[test]
fn what_our_script_packs_is_an_image_and_always_the_same_one() {
    run(async {
        let place = Place::new().await;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/pack-image");
        let packed = ["a.tar", "b.tar"].map(|out| {
            let out = place.folder.path().join(out);
            // Any file will do for a program that is not run.
            let done = std::process::Command::new(script).arg(script).arg("httpenv").arg(&out).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            std::fs::read(out).unwrap()
        });
        assert!(packed[0] == packed[1]);
        let images = place.import(&packed[0]).await.unwrap();
        assert_eq!(images[0].names, ["docker.io/library/httpenv:latest"]);
        assert_eq!(
            (&images[0].config.entrypoint[..], &images[0].config.exposed_ports[..]),
            (&["/httpenv".to_owned()][..], &["8888/tcp".to_owned()][..])
        );
        assert_eq!(std::fs::read(images[0].layers[0].join("httpenv")).unwrap(), std::fs::read(script).unwrap());
    });
}
