//! What a caller may set: where images may come from and how large they may get.

use std::time::Duration;

/// Settings of the image store.
#[derive(Debug, Clone)]
pub struct Config {
    /// Registries (`host` or `host:port`, as written in the reference) spoken to over plain HTTP from the
    /// start; one on a loopback address that speaks no TLS is recognised. Default: none.
    pub plain_http: Vec<String>,
    /// The platform chosen from a multi-platform image. Default: linux on this machine's architecture.
    pub platform: Platform,
    /// What one image may cost. Default: see [`Limits`].
    pub limits: Limits,
    /// What to do with device nodes outside of `/dev`. Default: refuse them.
    pub devices: Devices,
    /// How long one connection attempt to a registry may take. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a registry may send nothing at all in the middle of an answer. Default: 30 s.
    pub stall_timeout: Duration,
    /// How long finding out what a name stands for may take (authentication and manifests). Default: 30 s.
    pub resolve_timeout: Duration,
    /// How many layers of one image are downloaded at once. Default: 3.
    pub parallel_downloads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plain_http: Vec::new(),
            platform: Platform::default(),
            limits: Limits::default(),
            devices: Devices::default(),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            resolve_timeout: Duration::from_secs(30),
            parallel_downloads: 3,
        }
    }
}

/// An operating system and architecture, in the names that Go and the image specification use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, `linux`.
    pub os: String,
    /// The architecture, such as `amd64` or `arm64`.
    pub architecture: String,
}

impl Default for Platform {
    fn default() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// Bounds against images that are built to exhaust a node.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Layers of one image. Default: 256.
    pub layers: usize,
    /// Files, folders and links in one layer. Default: 2,000,000.
    pub entries: u64,
    /// Bytes of one unpacked layer. Default: 64 GiB.
    pub layer_bytes: u64,
    /// Unpacked bytes for each compressed byte, looked at once a layer is over `ratio_from`. Default: 300.
    pub ratio: u64,
    /// Unpacked bytes below which no ratio is too much. Default: 256 MiB.
    pub ratio_from: u64,
    /// Bytes of a manifest, an index or an image's configuration. Default: 8 MiB.
    pub document_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layers: 256,
            entries: 2_000_000,
            layer_bytes: 64 << 30,
            ratio: 300,
            ratio_from: 256 << 20,
            document_bytes: 8 << 20,
        }
    }
}

/// What to do with device nodes in a layer.
///
/// Nodes below `/dev` are left out in any case: a container gets a `/dev` of its own over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// Refuse the image: a node elsewhere would be a door to the host's disks and memory.
    #[default]
    Refuse,
    /// Create them, as containerd does. A node 0:0 is refused still, since overlayfs takes it for a whiteout.
    Create,
}
