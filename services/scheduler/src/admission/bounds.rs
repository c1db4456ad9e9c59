//! The most that a job can use: what its hold covers. No tokenizer is at hand here, so text counts by its bytes: a token
//! of any byte-level vocabulary stands for at least one.

use lowland_events::{
    job::{Sampling, Task},
    meter::{Meter, Usage},
};

/// Tokens that a chat template may put around a message.
pub const TOKENS_PER_MESSAGE: u64 = 16;
/// Tokens that a template may put around the whole, its default system message included.
pub const TEMPLATE_TOKENS: u64 = 64;
/// Tokens that a model may put around a text to turn into a vector.
pub const TOKENS_PER_INPUT: u64 = 8;

/// The most that `task` can use on a model with a context of `context_tokens`.
pub(super) fn bounds(task: &Task, sampling: Option<&Sampling>, context_tokens: u32) -> Usage {
    let context = u64::from(context_tokens);
    let max_tokens = sampling.and_then(|sampling| sampling.max_tokens).map_or(context, u64::from);
    let text = |input: u64| {
        Usage::of([
            (Meter::InputTokens, input.saturating_add(TEMPLATE_TOKENS).min(context)),
            (Meter::OutputTokens, max_tokens.min(context)),
        ])
    };
    match task {
        Task::Chat { messages } => {
            let bytes = |text: &str| text.len() as u64;
            text(messages.iter().map(|m| bytes(&m.role) + bytes(&m.content) + TOKENS_PER_MESSAGE).sum())
        }
        Task::Completion { prompt } => text(prompt.len() as u64),
        Task::Embedding { input } => {
            let tokens = input.iter().map(|text| (text.len() as u64 + TOKENS_PER_INPUT).min(context));
            Usage::of([(Meter::EmbeddingTokens, tokens.sum())])
        }
    }
}
