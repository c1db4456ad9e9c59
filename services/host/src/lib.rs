//! What every service does at start and stop.
