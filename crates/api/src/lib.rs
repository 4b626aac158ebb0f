//! skiff-api.
