//! skiff-loadbalancer.
