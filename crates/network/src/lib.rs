//! skiff-network.
