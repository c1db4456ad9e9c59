//! Imports a model by hand (temporary).
use lowland_engine::import::{Logits, Options, Precision, import};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let options = Options {
        id: a.get(3).filter(|s| *s != "-").cloned(),
        weights: if a.iter().any(|x| x == "fp32") { Precision::Fp32 } else { Precision::Int8 },
        logits: if a.iter().any(|x| x == "all") { Logits::AllPositions } else { Logits::LastToken },
        ..Options::default()
    };
    let t = std::time::Instant::now();
    let mut n = 0;
    let m = import(a[1].as_ref(), a[2].as_ref(), &options, &mut |p| { n += 1; eprint!("\r{p:?}      ") });
    eprintln!("\n{:?} {n} reports", t.elapsed());
    match m { Ok(m) => println!("{m:#?}"), Err(e) => { eprintln!("{e}"); std::process::exit(1) } }
}
