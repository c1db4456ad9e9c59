//! Figures of a whole system, as whoever watches it sees them: samples on the bus, `/metrics` on every health port.

use std::path::Path;

use lowland_tests::{
    python::Python,
    system::{Setting, System},
};

#[test]
fn samples_and_prometheus_say_the_same_and_the_truth() {
    let python = Python::below(Path::new(env!("CARGO_TARGET_TMPDIR")));
    // Few slots, so that one worker alone cannot take all.
    let system = System::of(&Setting { workers: 2, slots: Some(2), ..Setting::default() });
    system.play(&python, "metrics.py", &[]);
    system.down();
}
