//! What the end-to-end suites share: a whole system of real processes, official Python clients to use it with, a crowd of
//! clients that keep note of what they were promised, blows to deal, and an audit of the log that is left behind.
//!
//! What is missing makes a test fail, never skip, and the failure names the command that mends it.

pub mod audit;
pub mod binary;
pub mod bounded;
pub mod collector;
pub mod havoc;
pub mod load;
pub mod python;
pub mod site;
pub mod system;
pub mod told;

/// Ends the test with what is wrong and the command that mends it.
pub(crate) fn missing(what: &str, mend: &str) -> ! {
    panic!("{what}\n    mend it with: {mend}");
}
