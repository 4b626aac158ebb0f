//! What tests share: stand-ins for the world outside. Never part of a release.

pub mod disk;
