//! Makes a key pair.

use std::path::PathBuf;

use super::Failure;
use crate::endpoint::keys;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the private key goes; the public one goes to the same name with .pub behind it
    #[arg(long, value_name = "F")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let key = keys::generate(&args.out)?;
    println!("{}", keys::public_text(&key.public()));
    Ok(())
}
