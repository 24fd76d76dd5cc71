//! The end of a server: nothing new is let in, and what is under way may end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Who counts requests under way, and says whether new ones are let in.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_draining: AtomicBool,
    under_way: AtomicUsize,
    is_empty: Notify,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<State>);

impl Drain {
    /// Whether nothing new is let in.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::SeqCst)
    }

    /// Counts a request for as long as the answer to this lives.
    pub(super) fn enter(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.0.clone())
    }

    /// Lets nothing new in, and waits until nothing is under way, but not longer than this; tells how
    /// many requests were left.
    pub async fn drain(&self, longest: Duration) -> usize {
        self.0.is_draining.store(true, Ordering::SeqCst);
        let empty = async {
            loop {
                let notified = self.0.is_empty.notified();
                if self.0.under_way.load(Ordering::SeqCst) == 0 {
                    return;
                }
                notified.await;
            }
        };
        let _ = timeout(longest, empty).await; // How many are left tells.
        self.0.under_way.load(Ordering::SeqCst)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.is_empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_last_request_or_at_the_limit() {
        let (drain, second) = (Drain::default(), Duration::from_secs(1));
        assert_eq!(drain.drain(second).await, 0);
        let (one, other) = (drain.enter(), drain.enter());
        assert_eq!(drain.drain(second).await, 2);
        drop(one);
        let (left, ()) = tokio::join!(drain.drain(second), async { drop(other) });
        assert_eq!(left, 0);
        assert!(drain.is_draining());
    }
}
