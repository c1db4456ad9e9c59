//! A log that a simulated connection wrote reads as qlog, and says what happened.

mod sim;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use lowland_acnp::{
    proto::Side,
    qlog::{QlogWriter, RECORD_SEPARATOR},
};
use serde_json::Value;
use sim::{
    Link, World,
    workload::{Job, Workload},
};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_connection_writes_its_log() {
    let (log, mut world) = (Shared::default(), World::new(1, Link::new(20).loss(0.05)));
    world.connect();
    let observer = QlogWriter::new(log.clone(), Side::Client, "a transfer").unwrap();
    world.client.connection().set_observer(Box::new(observer));
    let mut workload = Workload::new(vec![Job::new(Side::Client, 300_000)], Vec::new());
    assert!(world.work(&mut workload, Duration::from_secs(60)));
    let stats = world.client.connection().stats();
    assert!(world.close(Duration::from_secs(10)));

    let bytes = log.0.lock().unwrap();
    let records: Vec<Value> = bytes
        .split(|byte| *byte == RECORD_SEPARATOR)
        .skip(1)
        .map(|record| serde_json::from_slice(record).expect("a record is JSON"))
        .collect();
    assert_eq!(records[0]["qlog_format"], "JSON-SEQ");
    assert_eq!(records[0]["trace"]["vantage_point"]["type"], "client");
    let mut counts = BTreeMap::<&str, u64>::new();
    let mut before = 0.0;
    for record in &records[1..] {
        let time = record["time"].as_f64().expect("it has a time");
        assert!(time >= before, "time goes on");
        before = time;
        *counts.entry(record["name"].as_str().expect("it has a name")).or_default() += 1;
    }
    assert!(stats.packets_lost > 0);
    assert_eq!(counts["recovery:packet_lost"], stats.packets_lost);
    assert!(counts["transport:packet_received"] >= stats.packets_received);
    assert!(counts["transport:packet_sent"] > stats.packets_sent);
    assert!(counts["recovery:metrics_updated"] > 10);
    assert_eq!(counts["connectivity:connection_closed"], 1);
    let window = |record: &Value| record["data"]["congestion_window"].as_u64();
    assert!(records.iter().filter_map(window).all(|window| window > 0));
}
