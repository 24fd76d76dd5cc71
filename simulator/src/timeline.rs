//! An answer in time: what is sent when, and what it has cost by then.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::generation::Generation;
use crate::message::Made;

/// Something that happens while an answer is made.
#[derive(Debug)]
pub(crate) struct Step {
    /// Real time since the request arrived.
    pub(crate) at: Duration,
    /// What is made since the step before.
    pub(crate) made: Made,
    /// What is sent; nothing while an answer that is not streamed is still being made.
    pub(crate) bytes: Vec<u8>,
}

/// How an answer ends after its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is whole.
    Whole,
    /// The connection breaks.
    Broken,
    /// Nothing comes any more, and the connection stays.
    Silent,
}

/// The connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// The steps still to come. Dropping it ends the generation and bills what was generated.
#[derive(Debug)]
pub(crate) struct Timeline {
    arrived: Instant,
    steps: VecDeque<Step>,
    end: End,
    generation: Option<Generation>,
}

impl Timeline {
    /// Steps in the order of their times.
    pub(crate) fn new(steps: VecDeque<Step>, end: End, generation: Generation) -> Self {
        Self { arrived: Instant::now(), steps, end, generation: Some(generation) }
    }

    /// A body that is there at once and costs nothing.
    pub(crate) fn at_once(body: Vec<u8>) -> Self {
        let step = Step { at: Duration::ZERO, made: Made::default(), bytes: body };
        let steps = if step.bytes.is_empty() { VecDeque::new() } else { [step].into() };
        Self { arrived: Instant::now(), steps, end: End::Whole, generation: None }
    }

    /// Waits until there is something to send: status and headers go out then, not before.
    ///
    /// # Errors
    /// If the connection breaks before that.
    pub(crate) async fn open(&mut self) -> Result<(), Broken> {
        while let Some(step) = self.steps.front() {
            wait_until(self.arrived + step.at).await;
            if !step.bytes.is_empty() {
                return Ok(());
            }
            self.play();
        }
        match self.end {
            End::Whole => Ok(()),
            End::Broken => Err(Broken),
            End::Silent => pending().await,
        }
    }

    /// The next bytes of the body, when they are due.
    ///
    /// # Errors
    /// If the connection breaks here.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        match self.open().await {
            Ok(()) => self.play().map(Ok),
            Err(broken) => {
                // Said once: a broken connection has nothing after it.
                self.end = End::Whole;
                Some(Err(broken))
            }
        }
    }

    /// The rest of the body, if it is all due at once: such a body has a known length.
    pub(crate) fn rest_if_due(&mut self) -> Option<Bytes> {
        match (self.end, self.steps.len()) {
            (End::Whole, 0) => Some(Bytes::new()),
            (End::Whole, 1) => self.play(),
            _ => None,
        }
    }

    /// Takes the next step. The last one settles the books before its bytes are handed out, so
    /// that whoever has read an answer to its end finds it in them.
    fn play(&mut self) -> Option<Bytes> {
        let step = self.steps.pop_front()?;
        if let Some(generation) = &mut self.generation {
            generation.begin();
            generation.produce(step.made);
        }
        if self.steps.is_empty() && self.end == End::Whole {
            self.generation = None;
        }
        Some(step.bytes.into())
    }
}

/// Without latency no timer is armed at all.
async fn wait_until(due: Instant) {
    if due > Instant::now() {
        sleep_until(due).await;
    }
}
