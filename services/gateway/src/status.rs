//! What has become of a job, for `GET /v1/jobs/{job}`: folded from the job's own events.

use lowland_events::{
    Event, Stored, Time,
    job::{Event as Job, Finish, Problem, Submitted, Task},
    meter::Usage,
};
use serde_json::{Value, json};

use crate::render;

/// What a job's events say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    word: Option<String>,
    created: Option<Time>,
    changed: Option<Time>,
    submitted: Option<Submitted>,
    attempts: u32,
    worker: Option<String>,
    finish: Option<Finish>,
    problem: Option<Problem>,
    usage: Option<Usage>,
    ended: bool,
}

impl Status {
    /// Takes in the job's next event.
    pub fn evolve(&mut self, event: &Stored) {
        let Event::Job(job) = &event.event else { return };
        self.word = Some(event.subject.event().to_owned());
        self.created.get_or_insert(event.meta.time);
        self.changed = Some(event.meta.time);
        match job {
            Job::Submitted(submitted) => self.submitted = Some(submitted.clone()),
            Job::Assigned(assigned) => {
                self.attempts = assigned.attempt;
                self.worker = Some(assigned.worker.to_string());
            }
            Job::AttemptFailed(failed) => self.problem = Some(failed.problem.clone()),
            Job::Rejected(rejected) => self.end(Some(&rejected.problem), None),
            Job::Completed(completed) => {
                self.finish = Some(completed.finish);
                self.end(None, Some(&completed.usage));
            }
            Job::Failed(failed) => self.end(Some(&failed.problem), Some(&failed.usage)),
            Job::Cancelled(cancelled) => self.end(None, Some(&cancelled.usage)),
            Job::Expired(expired) => self.end(None, Some(&expired.usage)),
            Job::Held(_) | Job::Started(_) | Job::CancelRequested(_) => {}
        }
    }

    fn end(&mut self, problem: Option<&Problem>, usage: Option<&Usage>) {
        self.ended = true;
        self.problem = problem.cloned();
        self.usage = usage.cloned();
    }

    /// Whether the job has come to its end.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// As JSON; a job without events has only been posted.
    #[must_use]
    pub fn to_json(&self, job: &str) -> Value {
        let submitted = self.submitted.as_ref();
        json!({
            "id": job,
            "object": "job",
            "status": self.word.as_deref().unwrap_or("posted"),
            "ended": self.ended,
            "kind": submitted.map(|submitted| kind(&submitted.task)),
            "model": submitted.map(|submitted| submitted.model.as_str()),
            "created": self.created.map(render::seconds),
            "changed": self.changed.map(render::seconds),
            "deadline": submitted.map(|submitted| render::seconds(submitted.deadline)),
            "attempts": self.attempts,
            "worker": self.worker,
            "finish_reason": self.finish.map(render::finish_reason),
            "usage": self.usage.as_ref().map(render::usage),
            "problem": self.problem,
        })
    }
}

fn kind(task: &Task) -> &'static str {
    match task {
        Task::Chat { .. } => "chat",
        Task::Completion { .. } => "completion",
        Task::Embedding { .. } => "embedding",
    }
}
