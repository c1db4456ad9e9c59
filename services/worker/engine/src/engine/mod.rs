//! One loaded model and, for models that write, the thread that steps it.
//!
//! The boundary is narrow on purpose: a folder and a [`Config`] go in, a request with a [`Sink`] goes in,
//! tokens and text come out. Nothing outside sees a session, a slot or a cache.

mod pick;
mod prompts;
mod request;
mod sequence;
mod sink;
mod slots;
mod thread;
mod ticket;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

pub use request::{Generate, Message, Prompt};
pub use sink::{Cancel, Delta, Finish, Outcome, Sink, Usage};

use crate::{
    Config, Error,
    embed::{EmbedInput, Embedder, Embeddings},
    folder,
    manifest::{Manifest, Task},
    session::Decoder,
    text::Tokenizer,
};
use prompts::Prompts;
use sequence::{Rules, Sequence};
use slots::Slots;
use thread::{Job, Stepper};
use ticket::Ticket;

/// Jobs that may wait for a slot, beyond those that run.
pub const WAITING_JOBS_MAX: usize = 64;

/// A model, loaded. Dropping it ends its jobs with [`Error::Stopped`] and waits for its thread.
#[derive(Debug)]
pub struct Engine {
    manifest: Manifest,
    prompts: Prompts,
    slots: usize,
    nodes: BTreeMap<String, usize>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Generate {
        jobs: Option<Sender<Job>>,
        thread: Option<JoinHandle<()>>,
        stop: Arc<AtomicBool>,
        taken: Arc<AtomicUsize>,
    },
    Embed(Embedder),
}

impl Engine {
    /// Loads the model in `folder`. Takes seconds: the weights are read and laid out for the kernels.
    ///
    /// # Errors
    /// Everything that is wrong with the library, the provider or the folder.
    pub fn load(folder: &Path, config: &Config) -> Result<Engine, Error> {
        let manifest = folder::manifest(folder)?;
        let prompts = Prompts::load(folder, &manifest)?;
        let slots = config.slots.max(1);
        let (work, nodes) = match &manifest.task {
            Task::Embed(model) => {
                let (embedder, nodes) = Embedder::open(folder, &manifest, model, config)?;
                (Work::Embed(embedder), nodes)
            }
            Task::Generate(model) => {
                let decoder = Decoder::open(folder, &manifest, model, config)?;
                let nodes = decoder.nodes().clone();
                (
                    start(
                        &manifest,
                        Slots::new(decoder, slots)?,
                        Arc::clone(prompts.tokenizer()),
                        model.eos.clone(),
                    )?,
                    nodes,
                )
            }
        };
        Ok(Engine { manifest, prompts, slots, nodes, work })
    }

    /// What the model says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether it still takes jobs: false once its thread has ended, for a bug of ours or of the library's.
    pub fn is_alive(&self) -> bool {
        match &self.work {
            Work::Generate { stop, .. } => !stop.load(Ordering::Relaxed),
            Work::Embed(_) => true,
        }
    }

    /// Sequences at once.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// How many nodes of the graph each execution provider runs, by ONNX Runtime's name for it.
    pub fn nodes(&self) -> &BTreeMap<String, usize> {
        &self.nodes
    }

    /// Starts a job and returns at once; everything else reaches `sink`, on the step thread.
    ///
    /// # Errors
    /// What is wrong with the request itself: then `sink` is dropped without a call.
    pub fn generate(&self, request: Generate, sink: Box<dyn Sink + Send>) -> Result<Cancel, Error> {
        let Work::Generate { jobs: Some(jobs), taken, stop, .. } = &self.work else {
            return Err(self.other_task("write text"));
        };
        let stopped = || Error::Stopped("a bug ended its thread, the log says which".to_owned());
        if stop.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        request.validate(self.manifest.vocab)?;
        let prompt = self.tokenize(&request.prompt)?;
        let busy = Error::Busy { slots: self.slots, queued: WAITING_JOBS_MAX };
        let ticket = Ticket::take(taken, self.slots + WAITING_JOBS_MAX).ok_or(busy)?;
        let cancel = Cancel::default();
        let forced = request.forced.clone();
        let sequence = Sequence::new(prompt, request, &self.rules(), ticket, cancel.clone(), sink)?;
        jobs.send(Job { sequence, forced }).map_err(|refused| {
            refused.0.sequence.disown();
            stopped()
        })?;
        Ok(cancel)
    }

    /// Vectors of texts, in their order. Blocks; `cancel` is looked at before each batch.
    ///
    /// # Errors
    /// [`Error::InputTooLong`] for a text that the model can't read whole, [`Error::Cancelled`], and what the
    /// session says.
    pub fn embed(&self, inputs: &[EmbedInput], cancel: &Cancel) -> Result<Embeddings, Error> {
        match &self.work {
            Work::Embed(embedder) => embedder.embed(inputs, self.prompts.tokenizer(), cancel),
            Work::Generate { .. } => Err(self.other_task("turn text into vectors")),
        }
    }

    /// The prompt's tokens, exactly as a job would read them.
    ///
    /// # Errors
    /// What the tokenizer or the chat template says.
    pub fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>, Error> {
        self.prompts.tokenize(prompt)
    }

    /// Number of the prompt's tokens.
    ///
    /// # Errors
    /// As [`Engine::tokenize`].
    pub fn count(&self, prompt: &Prompt) -> Result<usize, Error> {
        Ok(self.tokenize(prompt)?.len())
    }

    /// Text of tokens, without special ones: for alternatives in log-probabilities, say.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn text(&self, tokens: &[u32]) -> Result<String, Error> {
        self.prompts.tokenizer().decode(tokens)
    }

    fn rules(&self) -> Rules<'_> {
        let eos: &[u32] = match &self.manifest.task {
            Task::Generate(model) => &model.eos,
            Task::Embed(_) => &[],
        };
        Rules { context: self.manifest.context_tokens, eos, tokenizer: self.prompts.tokenizer() }
    }

    fn other_task(&self, asked: &'static str) -> Error {
        let does = match self.manifest.task {
            Task::Generate(_) => "writes text",
            Task::Embed(_) => "turns text into vectors",
        };
        Error::Task { model: self.manifest.id.clone(), asked, does }
    }
}

fn start(manifest: &Manifest, slots: Slots, tokenizer: Arc<Tokenizer>, eos: Vec<u32>) -> Result<Work, Error> {
    let (sender, jobs) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stepper =
        Stepper { slots, jobs, stop: Arc::clone(&stop), tokenizer, context: manifest.context_tokens, eos };
    let thread =
        std::thread::Builder::new().name(format!("step {}", manifest.id)).spawn(move || stepper.run());
    let thread = thread.map_err(|error| Error::Runtime(format!("no step thread: {error}")))?;
    Ok(Work::Generate { jobs: Some(sender), thread: Some(thread), stop, taken: Arc::default() })
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Work::Generate { jobs, thread, stop, .. } = &mut self.work {
            stop.store(true, Ordering::Relaxed);
            drop(jobs.take());
            if let Some(thread) = thread.take() {
                // The thread catches its own panics; what could still come out of a sink's drop is no reason
                // to panic here.
                let _ = thread.join();
            }
        }
    }
}

/// Callers keep an engine in an `Arc` and call it from any thread.
const _: fn() = || {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Engine>();
};
