//! OCI images on a node: pulled from registries or imported from archives, verified, unpacked once and shared.
//!
//! # Flow
//! A reference or an archive → manifest → configuration → the layers that are not here yet, each verified and unpacked
//! into a folder of its own in overlayfs's form → one entry in the index. [`Images`] is the entry point; the folders
//! in [`Image::layers`] are what the runtime gives to overlayfs as lower folders.
//!
//! # Guarantees
//! - Every byte used was checked against a SHA-256 digest; sizes are checked too.
//! - An unpacker under `openat2` cannot leave the layer's folder, whatever the archive says.
//! - A process killed at any moment leaves no half image and no half layer; the garbage goes when the store is opened.
//! - Several processes may use one store: `skiff image import` beside a running server, for example.
//! - Waiting is bounded: connecting, stalling and resolving have their time limits in [`Config`].
//!
//! # Choices
//! - Compressed layers are not kept once they are unpacked.
//! - Device nodes are refused, save below `/dev`, where they are left out (see [`Devices`]).
//! - Of extended attributes `security.capability` and `user.*` are applied; `trusted.overlay.*` is refused; others,
//!   which name things of the machine the image was built on, are left out.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod credentials;
mod digest;
mod document;
mod error;
mod image;
mod images;
mod import;
mod pull;
mod reference;
mod store;
mod tape;
mod unpack;

pub use config::{Config, Devices, Limits, Platform};
pub use credentials::{Auth, Keyring, SecretError};
pub use digest::{Digest, ParseDigestError};
pub use error::{
    ContentError, FileError, ImportError, LayerError, LayerFault, PullError, PullFault, RemoveError, StoreError,
};
pub use image::{Image, ImageConfig, OnProgress, Progress, Usage};
pub use images::{FindError, Images};
pub use import::ImportOptions;
pub use reference::{InvalidReference, Reference, ReferenceFault};
