//! Builds layers, layouts and archives in memory, well-formed ones and others.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skiff_image::{Config, Digest, Image, Images, ImportError, ImportOptions};

/// A layer's archive in the making.
pub(crate) struct Layer(tar::Builder<Vec<u8>>);

/// An entry's looks.
#[derive(Clone, Copy)]
pub(crate) struct Looks {
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: u64,
}

pub(crate) const PLAIN: Looks = Looks { mode: 0o644, uid: 0, gid: 0, mtime: 1_000_000_000 };

impl Layer {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// The name goes into the header as it is: the tar crate would refuse the names that matter here.
    pub(crate) fn entry(
        mut self,
        name: &str,
        kind: tar::EntryType,
        target: &str,
        content: &[u8],
        looks: Looks,
    ) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(looks.mode);
        header.set_uid(looks.uid);
        header.set_gid(looks.gid);
        header.set_mtime(looks.mtime);
        let ustar = header.as_ustar_mut().unwrap();
        ustar.name[..name.len()].copy_from_slice(name.as_bytes());
        ustar.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(name, tar::EntryType::Regular, "", content.as_bytes(), PLAIN)
    }

    pub(crate) fn folder(self, name: &str, mode: u32) -> Self {
        self.entry(name, tar::EntryType::Directory, "", b"", Looks { mode, ..PLAIN })
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, tar::EntryType::Symlink, target, b"", Looks { mode: 0o777, ..PLAIN })
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, tar::EntryType::Link, target, b"", PLAIN)
    }

    pub(crate) fn device(mut self, name: &str, major: u32, minor: u32) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(tar::EntryType::Char);
        header.set_size(0);
        header.set_mode(0o666);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        header.set_cksum();
        self.0.append(&header, &[][..]).unwrap();
        self
    }

    /// Pax records for the entry that follows.
    pub(crate) fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// How a layer's blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

pub(crate) fn pack(bytes: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => bytes.to_vec(),
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Packing::Zstd => zstd::encode_all(bytes, 1).unwrap(),
    }
}

/// An image whose parts can be tampered with before it is written out.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) name: Option<String>,
    /// Uncompressed archive and blob of each layer.
    pub(crate) layers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) config: Value,
    pub(crate) manifest: Value,
    /// Blobs by digest: what a registry or layout serves.
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
    pub(crate) platform: Value,
}

pub(crate) fn platform() -> Value {
    json!({"os": "linux", "architecture": Config::default().platform.architecture})
}

impl Fixture {
    pub(crate) fn new(name: Option<&str>, layers: Vec<Layer>, packing: Packing) -> Self {
        let tars = layers.into_iter().map(Layer::tar);
        let layers: Vec<_> = tars.map(|tar| (pack(&tar, packing), tar)).map(|(blob, tar)| (tar, blob)).collect();
        let diff_ids: Vec<Digest> = layers.iter().map(|(tar, _)| Digest::of(tar)).collect();
        let config = json!({
            "architecture": platform()["architecture"], "os": "linux",
            "config": {
                "Entrypoint": ["/bin/app"], "Cmd": ["--now"], "Env": ["PATH=/bin", "A=b"], "User": "1000:1000",
                "WorkingDir": "/srv", "StopSignal": "SIGINT", "Volumes": {"/data": {}},
                "ExposedPorts": {"8888/tcp": {}}, "Labels": null,
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let mut fixture = Self {
            name: name.map(str::to_owned),
            layers,
            config,
            manifest: Value::Null,
            blobs: Vec::new(),
            platform: platform(),
        };
        fixture.seal();
        fixture
    }

    /// Computes manifest and blobs anew from configuration and layers.
    pub(crate) fn seal(&mut self) {
        let config = serde_json::to_vec(&self.config).unwrap();
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(_, blob)| {
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": Digest::of(blob), "size": blob.len()})
            })
            .collect();
        self.manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config), "size": config.len()},
            "layers": layers,
        });
        self.blobs = vec![(Digest::of(&config), config)];
        self.blobs.extend(self.layers.iter().map(|(_, blob)| (Digest::of(blob), blob.clone())));
    }

    pub(crate) fn manifest_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.manifest).unwrap()
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest_bytes())
    }

    /// All files of the layout.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let manifest = self.manifest_bytes();
        let mut descriptor = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(&manifest),
            "size": manifest.len(), "platform": self.platform,
        });
        if let Some(name) = &self.name {
            descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
        let blob = |(digest, bytes): &(Digest, Vec<u8>)| (format!("blobs/sha256/{}", digest.hex()), bytes.clone());
        let mut files: Vec<_> = self.blobs.iter().map(blob).collect();
        files.push(blob(&(Digest::of(&manifest), manifest)));
        files.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
        files.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        files
    }

    pub(crate) fn oci_tar(&self) -> Vec<u8> {
        tar_of(&self.files())
    }

    pub(crate) fn docker_tar(&self) -> Vec<u8> {
        let config = serde_json::to_vec(&self.config).unwrap();
        let config_name = format!("{}.json", Digest::of(&config).hex());
        let names: Vec<String> = (0..self.layers.len()).map(|number| format!("{number}/layer.tar")).collect();
        let manifest = json!([{"Config": config_name, "RepoTags": [self.name], "Layers": names}]);
        let mut files =
            vec![(config_name, config), ("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap())];
        files.extend(names.into_iter().zip(self.layers.iter().map(|(_, blob)| blob.clone())));
        tar_of(&files)
    }
}

pub(crate) fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A store in a folder of its own, and a place for archives.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) images: Images,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path().join("images"), config).await.unwrap();
        Self { folder, images }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(format!("{}.tar", Digest::of(bytes).hex()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) async fn import(&self, bytes: &[u8]) -> Result<Vec<Image>, ImportError> {
        self.images.import(self.write(bytes), ImportOptions::default()).await
    }

    /// Imports a layout with one image, which must work.
    pub(crate) async fn one(&self, fixture: &Fixture) -> Image {
        let mut images = self.import(&fixture.oci_tar()).await.unwrap();
        assert_eq!(images.len(), 1);
        images.remove(0)
    }

    /// Imports an image with one layer, which must be refused; answers with what is said.
    pub(crate) async fn refusal(&self, layer: Layer) -> String {
        let fixture = Fixture::new(Some("hostile"), vec![layer], Packing::Gzip);
        let error = self.import(&fixture.oci_tar()).await.unwrap_err().to_string();
        assert_eq!(self.images.list().unwrap(), []);
        assert_eq!(leftovers(&self.store()), Vec::<PathBuf>::new());
        error
    }
}

/// Everything in the store that is no index, lock or empty folder.
pub(crate) fn leftovers(store: &Path) -> Vec<PathBuf> {
    ["layers", "ingest", "blobs/sha256"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(store.join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .collect()
}

/// Runs a future to its end within a time limit.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(60), future).await.expect("the test took too long")
    })
}
