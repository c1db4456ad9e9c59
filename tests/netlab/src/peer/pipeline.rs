//! Calls over one ordered stream: requests are written as they come, answers read in the same order.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    sync::{Mutex, mpsc, oneshot},
    task::AbortHandle,
};

use crate::wire::{Answer, Ask, Progress, read_answer, write_request};

/// Calls that may wait for their answers on one stream.
const CALLS_MAX: usize = 65_536;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

struct Expected {
    ask: Ask,
    progress: Option<Arc<Progress>>,
    tell: oneshot::Sender<io::Result<Answer>>,
}

type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// An ordered stream that calls share.
pub struct Pipeline {
    /// Held while a request is written and its answer is put in line: both orders are the same.
    sending: Mutex<(Writer, mpsc::Sender<Expected>)>,
    reader: AbortHandle,
}

impl Pipeline {
    pub(super) fn new<R, W>(read: R, write: W) -> Arc<Self>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (line, expected) = mpsc::channel(CALLS_MAX);
        let reader = tokio::spawn(read_all(BufReader::with_capacity(BUFFER_BYTES, read), expected));
        let sending = Mutex::new((Box::new(write) as Writer, line));
        Arc::new(Self { sending, reader: reader.abort_handle() })
    }

    pub(super) async fn ask(&self, ask: Ask, progress: Option<Arc<Progress>>) -> io::Result<Answer> {
        let (tell, told) = oneshot::channel();
        let gone = || io::Error::from(io::ErrorKind::ConnectionAborted);
        {
            let mut sending = self.sending.lock().await;
            let (write, line) = &mut *sending;
            line.send(Expected { ask, progress, tell }).await.map_err(|_| gone())?;
            write_request(write, ask).await?;
        }
        told.await.map_err(|_| gone())?
    }

    pub(super) fn close(&self) {
        self.reader.abort();
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.close();
    }
}

async fn read_all(mut from: impl AsyncRead + Unpin, mut expected: mpsc::Receiver<Expected>) {
    while let Some(Expected { ask, progress, tell }) = expected.recv().await {
        let answer = read_answer(&mut from, ask, progress.as_deref()).await;
        let failed = answer.is_err();
        // Who asked may have given up.
        let _ = tell.send(answer);
        if failed {
            return;
        }
    }
}
