//! skiff-runtime.
