//! skiff-linux.
