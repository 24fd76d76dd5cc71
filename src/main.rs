//! The `polpo` binary.
fn main() {}
