//! skiff-cli.
