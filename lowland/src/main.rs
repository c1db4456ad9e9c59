//! The `lowland` command.
fn main() {}
