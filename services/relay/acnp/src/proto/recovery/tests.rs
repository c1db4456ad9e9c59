//! Loss detection as a whole.
