//! Measuring what was built: `lowland bench`. Everything runs for real, in a temporary folder, beside a yardstick that
//! runs in the same minute on the same machine.
//!
//! [`pipeline`] drives whole jobs through every process and compares them with [`bare`] JetStream; [`replay`] folds a log.
//! [`system`] starts and stops what is measured, [`facts`] says on what, [`latency`] counts times.

pub mod bare;
pub mod direct;
pub mod facts;
pub mod idle;
pub mod latency;
pub mod load;
pub mod made;
pub mod pipeline;
pub mod replay;
pub mod system;
pub mod table;
