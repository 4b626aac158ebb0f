//! skiff-testkit.
