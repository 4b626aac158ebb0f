//! skiff-kubelet.
