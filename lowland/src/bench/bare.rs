//! The yardstick: the same number of messages of the same mean size, published to bare JetStream with acknowledgements,
//! as many in flight, and taken by one durable pull consumer that acknowledges each. No expectations, no batches, no
//! decoding: the fastest sensible use of the same server with the same flushing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        stream::{Config, StorageType},
    },
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

/// The stream.
const STREAM: &str = "BARE";
/// Its subject.
const SUBJECT: &str = "bare.message";
/// Messages that one pull asks for.
const PULL_MESSAGES: usize = 512;
/// Acknowledgements that the server waits for at most.
const UNACKED_MAX: i64 = 4096;
/// Longest time that all of it may take.
const WITHIN: Duration = Duration::from_secs(300);

/// What is published.
#[derive(Debug, Clone, Copy)]
pub struct Messages {
    /// How many.
    pub count: usize,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of the headers beside the id.
    pub header_bytes: usize,
    /// Published and not yet acknowledged.
    pub in_flight: usize,
}

/// Publishes and consumes; gives the time until the last one is both stored and consumed.
pub async fn run(client: Client, messages: Messages) -> Result<Duration> {
    let context = jetstream::new(client);
    let _ = context.delete_stream(STREAM).await;
    let config = Config {
        name: STREAM.into(),
        subjects: vec![SUBJECT.into()],
        storage: StorageType::File,
        ..Config::default()
    };
    let made = context.create_stream(config).await.context("making the yardstick's stream")?;
    let consumer = pull::Config {
        durable_name: Some("bare".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: UNACKED_MAX,
        ..pull::Config::default()
    };
    let consumer = made.create_consumer(consumer).await.context("making the yardstick's consumer")?;
    let began = Instant::now();
    let both = async {
        let consuming = tokio::spawn(consume(consumer, messages.count));
        publish(&context, messages).await?;
        consuming.await?
    };
    tokio::time::timeout(WITHIN, both).await.context("the yardstick took too long")??;
    let took = began.elapsed();
    context.delete_stream(STREAM).await.context("removing the yardstick's stream")?;
    Ok(took)
}

async fn publish(context: &jetstream::Context, messages: Messages) -> Result<()> {
    let body = Bytes::from(vec![b'b'; messages.body_bytes]);
    let filler = "h".repeat(messages.header_bytes);
    let publishing = (0..messages.count).map(|_| async {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{:032x}", rand::random::<u128>()));
        headers.insert("filler", filler.as_str());
        context.publish_with_headers(SUBJECT, headers, body.clone()).await?.await?;
        anyhow::Ok(())
    });
    stream::iter(publishing).buffer_unordered(messages.in_flight).try_collect::<()>().await
}

async fn consume(consumer: jetstream::consumer::PullConsumer, count: usize) -> Result<()> {
    let mut messages = consumer.stream().max_messages_per_batch(PULL_MESSAGES).messages().await?;
    for _ in 0..count {
        let message = messages.next().await.context("the yardstick's consumer ended")??;
        message.ack().await.map_err(|error| anyhow::anyhow!("acknowledging: {error}"))?;
    }
    Ok(())
}
