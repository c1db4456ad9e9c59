//! Vectors.

use lowland_events::request::OneOrMany;
use serde_json::{Value, json};

use crate::world::{World, soon};

#[tokio::test]
async fn many_inputs_in_both_formats() {
    let mut world = World::new().await;
    let vectors = [vec![0.25_f32, -1.0], vec![3.5, 0.1]];
    for (format, wanted) in [
        (json!("float"), [json!([0.25, -1.0]), json!([3.5, 0.1])]),
        (json!("base64"), [json!("AACAPgAAgL8="), json!("AABgQM3MzD0=")]),
    ] {
        let body = json!({"model": "e", "input": ["a", "b"], "encoding_format": format});
        let answer = tokio::spawn(world.post("/v1/embeddings", &body).send());
        let job = world.backend.job().await;
        assert_eq!(job.posted.input, Some(OneOrMany::Many(vec!["a".into(), "b".into()])));
        job.start().await;
        job.complete_with(&vectors, 6).await;
        let answer = soon(answer).await.unwrap().unwrap();
        assert_eq!(answer.headers()["x-lowland-job"], job.id.as_str());
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["usage"], json!({"prompt_tokens": 6, "total_tokens": 6}));
        let given: Vec<&Value> =
            answer["data"].as_array().unwrap().iter().map(|entry| &entry["embedding"]).collect();
        assert_eq!(given, wanted.iter().collect::<Vec<_>>());
    }
}
