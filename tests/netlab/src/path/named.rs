//! Paths that have a name. None of them is a real place: each shows one hardship, or one mix of them.

/// Name, description in the language of the command line, what it shows.
pub const NAMED: [(&str, &str, &str); 24] = [
    ("lossy1", "rtt=180ms:rate=100:loss=1%", "an ocean crossing on a fair day"),
    ("lossy2", "rtt=180ms:rate=100:loss=2%", "the same on a worse day"),
    ("lossy5", "rtt=200ms:rate=100:loss=5%", "the same at its peak hour"),
    ("lossy10", "rtt=150ms:rate=100:loss=10%", "beyond what most controllers stand"),
    ("lossy15", "rtt=150ms:rate=100:loss=15%", "harder still"),
    ("reorder", "rtt=150ms:jitter=20ms:rate=100:loss=0.5%", "packets overtake each other"),
    (
        "jitter",
        "rtt=150ms:jitter=20ms:order=kept:rate=100:loss=0.5%",
        "late packets hold up those behind them",
    ),
    ("clean", "rtt=150ms:rate=100", "far, and nothing is lost"),
    ("short", "rtt=10ms:rate=200:loss=0.1%", "a neighbouring city"),
    ("bursts", "rtt=180ms:rate=100:bursts=1%x10", "losses come ten packets in a row"),
    ("bursts2", "rtt=180ms:rate=100:bursts=2%x10:loss=0.5%", "the same, more often, and single ones between"),
    ("blackouts", "rtt=150ms:rate=100:loss=0.5%:blackout=60ms/3s", "nothing passes for tens of milliseconds"),
    ("step", "rtt=150ms:rate=100:rate@3s=30:rate@6s=100:loss=0.5%", "capacity falls, and comes back"),
    ("lossyack", "rtt=180ms:rate=100:down.loss=0.5%:up.loss=10%", "acknowledgements go missing"),
    ("narrow", "rtt=300ms:rate=20:loss=1%", "slow and very far"),
    ("wide", "rtt=100ms:rate=800:loss=0.5%", "fast, far and lossy"),
    ("asymmetric", "rtt=120ms:up.rate=5:down.rate=100:loss=0.5%", "a thin way back"),
    ("satellite", "rtt=600ms:rate=50:loss=1%", "a geostationary hop"),
    ("shallow", "rtt=150ms:rate=100:queue=100000:loss=0.1%", "a queue of a hundred packets at most"),
    (
        "mangled",
        "rtt=80ms:rate=100:duplicate=1%:corrupt=1%",
        "packets arrive twice, or with a bit turned over",
    ),
    ("handshake", "rtt=100ms:rate=100:bursts=30%x3", "three in ten are lost, three in a row"),
    ("fair", "rtt=60ms:rate=50", "a clean line that two flows have to share"),
    ("marked", "rtt=60ms:rate=50:ecn=5ms", "the same, with marks instead of a full queue"),
    ("two", "rtt=180ms:rate=100:loss=2%+rtt=220ms:rate=50:loss=1%", "two lines at once"),
];

/// The description of the path of that name.
pub fn named(name: &str) -> Option<&'static str> {
    NAMED.iter().find(|(known, ..)| *known == name).map(|(_, text, _)| *text)
}
