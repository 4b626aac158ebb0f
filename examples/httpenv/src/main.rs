//! httpenv.
fn main() {}
