//! What an attempt tells of itself to traces: one span for the attempt, and within it the reading of the prompt (prefill)
//! and the writing (decode). Names and attributes are OpenTelemetry's for generative AI, where it has them.
//!
//! An attempt whose worker is gone is told by the scheduler, under the same ids; so is one that was somebody else's when
//! it ended, of which nothing is told here.

use lowland_events::{
    Time, TraceContext,
    job::{Finish, Sampling},
    meter::{Meter, Usage},
    trace::{ATTEMPT_SPAN, PLACE_SPAN, operation},
};
use lowland_host::{
    Clock, Tracer,
    trace::{Kind, Span},
};

use crate::{
    job::{Assignment, Ending},
    publication::Prompt,
};

/// An attempt's place in its job's trace, and how far it has come.
pub(super) struct Trace {
    tracer: Tracer,
    clock: Clock,
    /// The job's span, which the attempt is a part of; absent if nothing is to be told.
    job: Option<TraceContext>,
    engine_began: Option<Time>,
    prompt: Option<Prompt>,
    first_output: Option<Time>,
}

impl Trace {
    pub(super) fn new(tracer: Tracer, clock: Clock, of: &Assignment) -> Self {
        let job = of.trace().filter(|job| tracer.wants(*job));
        Self { tracer, clock, job, engine_began: None, prompt: None, first_output: None }
    }

    /// The engine was given the work.
    pub(super) fn engine_began(&mut self) {
        self.engine_began = self.job.map(|_| self.clock.now());
    }

    /// The engine said how long the prompt is.
    pub(super) fn read_prompt(&mut self, prompt: Prompt) {
        self.prompt.get_or_insert(prompt);
    }

    /// There is output: the first of it ends the prefill.
    pub(super) fn output(&mut self, of: &Assignment) {
        let (Some(job), Some(began), None) = (self.job, self.engine_began, self.first_output) else { return };
        let now = self.clock.now();
        self.first_output = Some(now);
        let attempt = job.span(of.id, ATTEMPT_SPAN);
        let span = Span::new(job.span(of.id, "prefill"), "prefill", Kind::Internal, began, now)
            .below(Some(attempt))
            .with("gen_ai.request.model", of.assigned.job.model.to_string())
            .with_some(
                "gen_ai.usage.input_tokens",
                self.prompt.map(|prompt| int(prompt.input + prompt.cached)),
            )
            .with_some("gen_ai.usage.cache_read.input_tokens", self.prompt.map(|prompt| int(prompt.cached)));
        self.tracer.tell(span);
    }

    /// The attempt ended so, at `end`; it began with `resumed` tokens of earlier ones.
    pub(super) fn ended(&self, of: &Assignment, ending: &Ending, resumed: u64, end: Time) {
        let Some(job) = self.job else { return };
        let attempt = job.span(of.id, ATTEMPT_SPAN);
        if let Some(first) = self.first_output {
            let written = usage(ending).map(|usage| int(usage.output_tokens().saturating_sub(resumed)));
            let decode = Span::new(job.span(of.id, "decode"), "decode", Kind::Internal, first, end)
                .below(Some(attempt))
                .with("gen_ai.request.model", of.assigned.job.model.to_string())
                .with_some("gen_ai.usage.output_tokens", written);
            self.tracer.tell(decode);
        }
        self.tracer.tell(whole(of, job, ending, end).with("lowland.resumed_tokens", int(resumed)));
    }
}

fn whole(of: &Assignment, job: TraceContext, ending: &Ending, end: Time) -> Span {
    let (submitted, start) = (&of.assigned.job, of.assigned_at);
    let operation = operation(&submitted.task);
    let name = format!("{operation} {}", submitted.model);
    let span = Span::new(job.span(of.id, ATTEMPT_SPAN), name, Kind::Internal, start, end)
        .below(Some(job))
        .after(Some(job.span(of.id, PLACE_SPAN)))
        .with("gen_ai.operation.name", operation)
        .with("gen_ai.provider.name", "lowland")
        .with("gen_ai.request.model", submitted.model.to_string())
        .with("lowland.id.account", of.key.0.to_string())
        .with("lowland.id.job", of.key.1.to_string())
        .with("lowland.attempt", i64::from(of.attempt()))
        .with("lowland.worker", of.assigned.worker.to_string())
        .with("lowland.worker.instance", of.assigned.instance.to_string())
        .with("lowland.lease_ms", int(of.assigned.lease_ms))
        .failed_if(failure(ending));
    let span = submitted.sampling.as_ref().map_or(span.clone(), |sampling| asked(span, sampling));
    let span = usage(ending).map_or(span.clone(), |usage| used(span, usage));
    match ending {
        Ending::Completed { finish, .. } => {
            span.with_list("gen_ai.response.finish_reasons", [reason(*finish)])
        }
        Ending::Unwanted { .. } | Ending::Failed(_) => span,
    }
}

fn asked(span: Span, sampling: &Sampling) -> Span {
    span.with("gen_ai.request.temperature", f64::from(sampling.temperature))
        .with("gen_ai.request.top_p", f64::from(sampling.top_p))
        .with("gen_ai.request.top_k", i64::from(sampling.top_k))
        .with_some("gen_ai.request.max_tokens", sampling.max_tokens.map(i64::from))
}

fn used(span: Span, usage: &Usage) -> Span {
    span.with("gen_ai.usage.input_tokens", int(usage.prompt_tokens()))
        .with("gen_ai.usage.cache_read.input_tokens", int(usage.quantity(Meter::CachedTokens)))
        .with("gen_ai.usage.output_tokens", int(usage.output_tokens()))
}

fn usage(ending: &Ending) -> Option<&Usage> {
    match ending {
        Ending::Completed { usage, .. } | Ending::Unwanted { usage, .. } => Some(usage),
        Ending::Failed(_) => None,
    }
}

/// The kind of failure, if it is one. An end that was asked for is none of the attempt's.
fn failure(ending: &Ending) -> Option<&'static str> {
    match ending {
        Ending::Failed(failure) => Some(failure.problem.code.as_str()),
        Ending::Completed { .. } | Ending::Unwanted { .. } => None,
    }
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
