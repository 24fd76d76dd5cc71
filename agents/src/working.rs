//! A task under way, in the hands of who asked for it.

use tokio::task::JoinHandle;

use crate::job::Outcome;

/// A task that an agent is working on. Dropping it cancels the task, and with it whatever the
/// task waits for, leases or reads.
#[derive(Debug)]
#[must_use = "dropping it cancels the task"]
pub struct Working(JoinHandle<Outcome>);

impl Working {
    /// Begins to work.
    pub(crate) fn on(task: impl Future<Output = Outcome> + Send + 'static) -> Self {
        #[expect(clippy::disallowed_methods, reason = "whoever holds the handle waits for it")]
        Self(tokio::spawn(task))
    }

    /// What comes of it.
    pub async fn outcome(mut self) -> Outcome {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            // Panics are caught inside, so the runtime itself is going down.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.abort();
    }
}
