//! skiff.
fn main() {}
