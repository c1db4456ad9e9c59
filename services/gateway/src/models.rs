//! Which models are there now: those that a worker has loaded and neither stopped nor lost.

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{
    Domain, Event, Filter, Stored, Time,
    id::InstanceId,
    instance::{Ability, Event as Instance, Ready},
};
use lowland_host::{Keep, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::render::seconds;

/// The models that are there, with the instances that offer each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Models(BTreeMap<String, BTreeMap<InstanceId, (Ready, Time)>>);

impl State for Models {
    fn evolve(&mut self, event: &Stored) {
        let Ok(instance) = InstanceId::new(event.subject.aggregate()) else { return };
        let model = event.subject.scope();
        match &event.event {
            Event::Instance(Instance::Ready(ready)) => {
                let instances = self.0.entry(model.to_owned()).or_default();
                instances.insert(instance, (ready.clone(), event.meta.time));
            }
            Event::Instance(Instance::Stopped(_) | Instance::Lost(_)) => self.remove(model, &instance),
            _ => {}
        }
    }
}

impl Keep for Models {
    const LOGIC_VERSION: u32 = 1;

    fn filters() -> Vec<Filter> {
        vec![Filter::domain(Domain::Instance)]
    }
}

impl Models {
    /// Instances that are there, of all models.
    pub fn instances(&self) -> impl Iterator<Item = (&InstanceId, &Ready)> {
        self.0.values().flatten().map(|(id, (ready, _))| (id, ready))
    }

    fn remove(&mut self, model: &str, instance: &InstanceId) {
        if let Some(instances) = self.0.get_mut(model) {
            instances.remove(instance);
            if instances.is_empty() {
                self.0.remove(model);
            }
        }
    }

    /// OpenAI's list of models.
    #[must_use]
    pub fn list(&self) -> Value {
        let data: Vec<Value> = self.0.iter().map(|(model, instances)| entry(model, instances)).collect();
        json!({"object": "list", "data": data})
    }

    /// OpenAI's object for one model, if it is there.
    #[must_use]
    pub fn one(&self, model: &str) -> Option<Value> {
        self.0.get(model).map(|instances| entry(model, instances))
    }

    /// The models' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// OpenAI's fields, then ours: what the model can do, how much it reads, and where it is.
fn entry(model: &str, instances: &BTreeMap<InstanceId, (Ready, Time)>) -> Value {
    let since = instances.values().map(|(_, time)| *time).min().unwrap_or_default();
    let regions: BTreeSet<&str> = instances.values().map(|(ready, _)| ready.region.as_str()).collect();
    let context = instances.values().map(|(ready, _)| ready.context_tokens).max();
    let generates = instances.values().any(|(ready, _)| ready.ability == Ability::Generate);
    json!({
        "id": model,
        "object": "model",
        "created": seconds(since),
        "owned_by": "lowland",
        "ability": if generates { "generate" } else { "embed" },
        "context_tokens": context,
        "regions": regions,
        "instances": instances.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{
        Draft, Money, Subject,
        id::{ModelId, RegionId, WorkerId},
        instance::{Lost, Stopped},
        log::Record,
    };

    fn stored(instance: &str, event: impl Into<Event>, time: i64) -> Stored {
        let event = event.into();
        let (model, instance) = (ModelId::new("m").unwrap(), InstanceId::new(instance).unwrap());
        let subject = Subject::instance(&model, &instance, event.name());
        let entry = Draft::new(subject, event, "c", "test/1", Time(time)).entry();
        let record = Record {
            stream: "LOG".into(),
            sequence: 1,
            subject: entry.subject,
            headers: entry.headers,
            payload: entry.payload,
            stored_at: Time(time),
        };
        Stored::try_from(&record).unwrap()
    }

    fn ready(region: &str) -> Ready {
        Ready {
            worker: WorkerId::new("w").unwrap(),
            process: InstanceId::new("p").unwrap(),
            region: RegionId::new(region).unwrap(),
            ability: Ability::Embed,
            slots: 4,
            context_tokens: 512,
            ask: Money(1),
            provider: "cpu".into(),
        }
    }

    #[test]
    fn a_model_is_there_while_an_instance_is() {
        let mut models = Models::default();
        models.evolve(&stored("i1", ready("eu"), 9_000_000));
        models.evolve(&stored("i2", ready("us"), 5_000_000));
        assert_eq!(
            models.one("m").unwrap(),
            json!({
                "id": "m", "object": "model", "created": 5, "owned_by": "lowland", "ability": "embed",
                "context_tokens": 512, "regions": ["eu", "us"], "instances": 2,
            })
        );
        models.evolve(&stored("i1", Stopped { reason: "r".into() }, 10_000_000));
        models.evolve(&stored("i9", Lost { silent_ms: 1, reason: "r".into() }, 10_000_000));
        assert_eq!(models.one("m").unwrap()["regions"], json!(["us"]));
        models.evolve(&stored("i2", Lost { silent_ms: 1, reason: "r".into() }, 11_000_000));
        assert_eq!(models.list(), json!({"object": "list", "data": []}));
        assert_eq!(models.one("m"), None);
    }
}
