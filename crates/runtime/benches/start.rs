//! How long a pod takes: sandbox, one container that runs `true` to its end, removal. And what a supervisor weighs.
fn main() {}
