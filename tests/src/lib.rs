//! Shared pieces of the whole-binary tests and benchmarks.
