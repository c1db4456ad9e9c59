//! Imports a model by hand (temporary).
use lowland_engine::import::{Logits, Options, Precision, import};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let options = Options {
        id: a.get(3).filter(|s| *s != "-").cloned(),
        weights: if a.iter().any(|x| x == "fp32") { Some(Precision::Fp32) } else if a.iter().any(|x| x == "int8") { Some(Precision::Int8) } else { None },
        logits: if a.iter().any(|x| x == "all") { Logits::AllPositions } else { Logits::LastToken },
        ..Options::default()
    };
    let t = std::time::Instant::now();
    let mut n = 0;
    let m = import(a[1].as_ref(), a[2].as_ref(), &options, &mut |p| { n += 1; if n < 2 { eprintln!("{p:?}") } });
    eprintln!("\n{:?} {n} reports", t.elapsed());
    match m { Ok(m) => println!("{}", m.id), Err(e) => { eprintln!("{e}"); std::process::exit(1) } }
}
