//! What a worker counts, with the names that vLLM's users know: what their dashboards show of an engine, they show of this.

use lowland_host::figures::{
    Counter, Description, Figures, Gauge, Histogram,
    description::{FIRST_TOKEN_SECONDS, REQUEST_SECONDS, TOKEN_SECONDS, TOKENS},
};

/// The label of everything here, as vLLM has it.
const MODEL: &[&str] = &["model_name"];

static RUNNING: Description =
    Description::gauge("vllm:num_requests_running", MODEL, "Jobs that the worker has in hand.");
static SLOTS: Description =
    Description::gauge("lowland_worker_slots", MODEL, "Jobs that the worker takes at once.");
static PROMPT: Description = Description::counter(
    "vllm:prompt_tokens_total",
    MODEL,
    "Tokens of prompts that were read, reused ones included; of embeddings, tokens that were turned into vectors.",
);
static GENERATION: Description = Description::counter(
    "vllm:generation_tokens_total",
    MODEL,
    "Tokens that were written here; those that an earlier attempt wrote do not count again.",
);
static PREFIX_QUERIES: Description = Description::counter(
    "vllm:prefix_cache_queries_total",
    MODEL,
    "Tokens of prompts for which an earlier computation was looked for.",
);
static PREFIX_HITS: Description = Description::counter(
    "vllm:prefix_cache_hits_total",
    MODEL,
    "Tokens of prompts whose computation was reused.",
);
static SUCCESS: Description = Description::counter(
    "vllm:request_success_total",
    &["model_name", "finished_reason"],
    "Attempts that ended here by why: stop, length, abort (cancelled or expired), error (failed).",
);
static ATTEMPTS: Description = Description::counter(
    "lowland_worker_attempts_total",
    &["model_name", "outcome"],
    "Attempts by what became of them: completed, cancelled, expired, attempt_failed, or gone (another worker has the job, and nothing was said).",
);
static FIRST_TOKEN: Description = Description::histogram(
    "vllm:time_to_first_token_seconds",
    FIRST_TOKEN_SECONDS,
    MODEL,
    "Time from a job's assignment reaching the worker to the first token that it wrote.",
);
static INTER_TOKEN: Description = Description::histogram(
    "vllm:inter_token_latency_seconds",
    TOKEN_SECONDS,
    MODEL,
    "Time from one token to the next, once for each token after the first; tokens that come together share it.",
);
static PER_TOKEN: Description = Description::histogram(
    "vllm:request_time_per_output_token_seconds",
    TOKEN_SECONDS,
    MODEL,
    "A job's mean time a token after the first, once for each job.",
);
static END_TO_END: Description = Description::histogram(
    "vllm:e2e_request_latency_seconds",
    REQUEST_SECONDS,
    MODEL,
    "Time from a job's assignment reaching the worker to the event that ends the attempt being stored.",
);
static PREFILL: Description = Description::histogram(
    "vllm:request_prefill_time_seconds",
    REQUEST_SECONDS,
    MODEL,
    "Time from the engine's beginning with a job to its first token.",
);
static DECODE: Description = Description::histogram(
    "vllm:request_decode_time_seconds",
    REQUEST_SECONDS,
    MODEL,
    "Time from a job's first token to its last.",
);
static PROMPT_SIZES: Description =
    Description::histogram("vllm:request_prompt_tokens", TOKENS, MODEL, "Tokens of a job's prompt.");
static GENERATION_SIZES: Description = Description::histogram(
    "vllm:request_generation_tokens",
    TOKENS,
    MODEL,
    "Tokens that were written for a job here.",
);

/// All of them.
pub static TABLE: [&Description; 16] = [
    &RUNNING,
    &SLOTS,
    &ATTEMPTS,
    &SUCCESS,
    &PROMPT,
    &GENERATION,
    &PREFIX_QUERIES,
    &PREFIX_HITS,
    &PROMPT_SIZES,
    &GENERATION_SIZES,
    &FIRST_TOKEN,
    &INTER_TOKEN,
    &PER_TOKEN,
    &PREFILL,
    &DECODE,
    &END_TO_END,
];

/// What is counted of one model.
#[derive(Debug, Clone)]
pub(crate) struct ModelFigures {
    figures: Figures,
    model: String,
    pub(crate) running: Gauge,
    pub(crate) slots: Gauge,
    pub(crate) prompt: Counter,
    pub(crate) generation: Counter,
    pub(crate) prefix_queries: Counter,
    pub(crate) prefix_hits: Counter,
    pub(crate) prompt_sizes: Histogram,
    pub(crate) generation_sizes: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) inter_token: Histogram,
    pub(crate) per_token: Histogram,
    pub(crate) prefill: Histogram,
    pub(crate) decode: Histogram,
    pub(crate) end_to_end: Histogram,
}

impl ModelFigures {
    pub(crate) fn of(figures: &Figures, model: &str) -> Self {
        let labels = [model];
        Self {
            running: figures.gauge(&RUNNING, &labels),
            slots: figures.gauge(&SLOTS, &labels),
            prompt: figures.counter(&PROMPT, &labels),
            generation: figures.counter(&GENERATION, &labels),
            prefix_queries: figures.counter(&PREFIX_QUERIES, &labels),
            prefix_hits: figures.counter(&PREFIX_HITS, &labels),
            prompt_sizes: figures.histogram(&PROMPT_SIZES, &labels),
            generation_sizes: figures.histogram(&GENERATION_SIZES, &labels),
            first_token: figures.histogram(&FIRST_TOKEN, &labels),
            inter_token: figures.histogram(&INTER_TOKEN, &labels),
            per_token: figures.histogram(&PER_TOKEN, &labels),
            prefill: figures.histogram(&PREFILL, &labels),
            decode: figures.histogram(&DECODE, &labels),
            end_to_end: figures.histogram(&END_TO_END, &labels),
            figures: figures.clone(),
            model: model.to_owned(),
        }
    }

    /// One more attempt that ended so.
    pub(crate) fn ended(&self, outcome: &str) {
        self.figures.counter(&ATTEMPTS, &[&self.model, outcome]).add(1);
    }

    /// One more attempt that finished for this reason.
    pub(crate) fn finished(&self, reason: &str) {
        self.figures.counter(&SUCCESS, &[&self.model, reason]).add(1);
    }

    /// A bound that this model's jobs may hit.
    pub(crate) fn bound_hit(&self, name: &str) {
        self.figures.bound(name).add(1);
    }
}
