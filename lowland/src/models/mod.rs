//! The models of this machine: a folder of model folders, filled by imports from pinned packages, from files, and from a
//! model hub.

pub mod hub;
pub mod install;
pub mod store;
