//! How a run is brought to a halt: by the user, or because it cannot go on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{Exit, Stop};

/// How long running tasks may take to end after the first Ctrl-C.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// How far the halt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Not at all.
    Running,
    /// No task is begun any more, running ones may end.
    Draining,
    /// Running tasks are cut off.
    Now,
}

/// The brake of a run, in the hands of everyone who takes part.
#[derive(Clone, Debug)]
pub(super) struct Halt {
    phase: Arc<watch::Sender<Phase>>,
    why: Arc<Mutex<Option<Stop>>>,
}

impl Default for Halt {
    fn default() -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Running)), why: Arc::default() }
    }
}

impl Halt {
    /// Brakes, and remembers why: the first reason, unless a later one is that nothing can be kept.
    pub(super) fn brake(&self, phase: Phase, why: Stop) {
        let mut known = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() || why.exit == Exit::NotWritten {
            *known = Some(why);
        }
        drop(known);
        self.go(phase);
    }

    fn go(&self, phase: Phase) {
        self.phase.send_if_modified(|known| {
            let is_further = phase > *known;
            *known = phase.max(*known);
            is_further
        });
    }

    /// Resolves when it has come as far as `phase`.
    pub(super) async fn reached(&self, phase: Phase) {
        // The sender is in `self`, so the wait cannot fail.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Why the run was halted.
    #[must_use]
    pub(super) fn why(&self) -> Option<Stop> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Listens to signals: the first SIGINT or SIGTERM drains, the second, or the end of the grace
    /// period, cuts off. Runs until it is dropped.
    pub(super) async fn listen(self) {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return std::future::pending().await; // Then signals kill, which is safe too.
        };
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        next().await;
        let message = "interrupted: the same command again continues";
        self.brake(Phase::Draining, Stop { exit: Exit::Interrupted, message: message.to_owned() });
        tokio::select! {
            () = next() => {}
            () = tokio::time::sleep(GRACE) => {}
        }
        self.go(Phase::Now);
        std::future::pending().await
    }
}
