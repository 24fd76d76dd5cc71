//! Work under way, in the hands of who asked for it.

use tokio::task::JoinHandle;

use crate::job::Outcome;

/// A task, or a turn of a conversation, that an agent is working on. Dropping it cancels the work,
/// and with it whatever that waits for, leases or reads.
#[derive(Debug)]
#[must_use = "dropping it cancels the work"]
pub struct Working<T = Outcome>(JoinHandle<T>);

impl<T: Send + 'static> Working<T> {
    /// Begins to work.
    pub(crate) fn on(task: impl Future<Output = T> + Send + 'static) -> Self {
        #[expect(clippy::disallowed_methods, reason = "whoever holds the handle waits for it")]
        Self(tokio::spawn(task))
    }

    /// What comes of it.
    pub async fn outcome(mut self) -> T {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            // Panics are caught inside, so the runtime itself is going down.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<T> Drop for Working<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
