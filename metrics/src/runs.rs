//! The tasks of the latest runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::events::TaskCounts;
use crate::family::Family;
use crate::label::Label;

/// Every run is a label value that no other has, so they are kept to a number that a dashboard
/// can show; the history of runs is the journal's.
const KEPT: usize = 20;

/// `tasks`, for the runs that were heard of last.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    tasks: Family<2>,
    // Invariant: `tasks` has series of exactly these runs. The longest unheard of is in front.
    kept: Arc<Mutex<VecDeque<Arc<str>>>>,
}

impl Runs {
    pub(crate) fn new(tasks: Family<2>) -> Self {
        Self { tasks, kept: Arc::default() }
    }

    pub(crate) fn set(&self, run: &str, counts: TaskCounts) {
        // Held to the end, so that a run that leaves cannot be set again halfway out.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|known| **known == *run).and_then(|at| kept.remove(at));
        let run = known.unwrap_or_else(|| run.into());
        for (state, count) in by_state(counts) {
            self.tasks.set([(&run).into(), state.into()], i64::try_from(count).unwrap_or(i64::MAX));
        }
        kept.push_back(run);
        if kept.len() > KEPT
            && let Some(oldest) = kept.pop_front()
        {
            for (state, _) in by_state(counts) {
                self.tasks.forget(&[Label::from(&oldest), state.into()]);
            }
        }
    }
}

const fn by_state(counts: TaskCounts) -> [(&'static str, u64); 4] {
    let TaskCounts { pending, running, succeeded, failed } = counts;
    [("pending", pending), ("running", running), ("succeeded", succeeded), ("failed", failed)]
}
