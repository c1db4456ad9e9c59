//! Asking a process whether it is ready.

use std::time::Duration;

/// Time one question may take.
const ASK_MAX: Duration = Duration::from_secs(1);
/// Time between two questions while a process starts.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Whether `url` answers with a success now.
pub async fn is_ready(client: &reqwest::Client, url: &str) -> bool {
    let answer = client.get(url).timeout(ASK_MAX).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Waits until `url` answers with a success; without end, so bound it.
pub async fn ready(client: &reqwest::Client, url: &str) {
    while !is_ready(client, url).await {
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// What `url` says is wrong; none when it is ready, or doesn't answer.
pub async fn problem(client: &reqwest::Client, url: &str) -> Option<String> {
    let answer = client.get(url).timeout(ASK_MAX).send().await.ok()?;
    if answer.status().is_success() {
        return None;
    }
    answer.text().await.ok()
}
