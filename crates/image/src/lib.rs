//! skiff-image.
