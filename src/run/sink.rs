//! Where outcomes go: committed to the journal first, then appended to the results file.

use std::sync::Arc;

use polpo_agents::job::{Ending, Outcome};
use polpo_store::journal::{FinishedLine, Journal, Run};
use tokio::sync::mpsc;

use super::count::Counts;
use super::halt::{Halt, Phase};
use super::line::{Label, finished};
use super::results::ResultsFile;
use crate::exit::Stop;

/// Outcomes committed together; more would only make a batch of results later.
const GROUP: usize = 256;

/// A task that is over.
pub(super) struct Ended {
    /// What it was.
    pub(super) label: Label,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// Takes outcomes until their senders are gone.
pub(super) struct Sink {
    /// The truth.
    pub(super) journal: Arc<dyn Journal>,
    /// The run.
    pub(super) run: Run,
    /// Its projection.
    pub(super) results: ResultsFile,
    /// What is counted.
    pub(super) counts: Arc<Counts>,
    /// The brake, for when results cannot be kept.
    pub(super) halt: Halt,
    /// Whether appending to the results file has failed.
    pub(super) is_torn: bool,
}

impl Sink {
    /// Works until the last sender is gone, then gives the results file back.
    pub(super) async fn work(mut self, mut ended: mpsc::Receiver<Ended>) -> ResultsFile {
        let mut group = Vec::with_capacity(GROUP);
        while ended.recv_many(&mut group, GROUP).await > 0 {
            // Whatever fails, the next group is tried: what is committed is not paid for again.
            if let Err(stop) = self.keep(std::mem::take(&mut group)).await {
                self.halt.brake(Phase::Now, stop);
            }
        }
        self.results
    }

    async fn keep(&mut self, group: Vec<Ended>) -> Result<(), Stop> {
        let mut lines = Vec::with_capacity(group.len());
        let mut outcomes = Vec::with_capacity(group.len());
        for Ended { label, outcome } in group {
            match &outcome.ending {
                Ending::Succeeded(_) | Ending::Errored { .. } => {}
                Ending::Pending => {
                    self.halt.brake(Phase::Draining, no_profile(&label));
                    continue;
                }
                Ending::Unrecorded(why) => {
                    self.halt.brake(Phase::Now, Stop::not_written(why.as_str()));
                    continue;
                }
            }
            let line = finished(label, &outcome).map_err(Stop::not_written)?;
            lines.extend(line);
            outcomes.push(outcome);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> =
            lines.iter().map(|line: &FinishedLine| line.line.clone()).collect();
        let places = self.journal.finish(lines).await.map_err(Stop::not_written)?;
        for outcome in &outcomes {
            self.counts.ended(outcome);
        }
        let page: Vec<(i64, String)> = places.into_iter().zip(texts).collect();
        self.append(&page).await
    }

    /// Appends committed lines. Once that has failed the file is left as it is, and the next start
    /// appends what is missing.
    async fn append(&mut self, page: &[(i64, String)]) -> Result<(), Stop> {
        if self.is_torn {
            return Ok(());
        }
        if let Err(error) = self.results.append(page) {
            self.is_torn = true;
            self.halt.brake(Phase::Draining, Stop::not_written(error));
            return Ok(());
        }
        let appended = self.results.appended();
        self.journal.record_appended(self.run.id, appended).await.map_err(Stop::not_written)
    }
}

fn no_profile(label: &Label) -> Stop {
    Stop::no_credential(format!(
        "no profile can serve agent {} and none has a known return: every key was refused, or there \
         is none for its models; its tasks stay pending, and the same command again continues",
        label.agent
    ))
}
