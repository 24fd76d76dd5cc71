//! Opens a run: journal, lock, results file, and what an earlier process left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use polpo_store::journal::{
    Journal, JournalError, JournalOptions, LostCall, NewRun, Run, SqliteJournal,
};

use super::plan::Plan;
use super::results::{ResultsError, ResultsFile, canonical};
use crate::config::{Config, Synchronous};
use crate::exit::{Exit, Stop};
use crate::state::StateDir;

/// A run, opened and made consistent.
pub(super) struct Opened {
    pub(super) state: StateDir,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) run: Run,
    pub(super) results: ResultsFile,
    /// Calls of an earlier process whose outcome nobody knows.
    pub(super) lost: Vec<LostCall>,
}

pub(super) async fn open(state: &StateDir, plan: &Plan, results: &Path) -> Result<Opened, Stop> {
    let simulated = plan.simulator.is_some();
    let journal = open_journal(&plan.config, state, simulated).await?;
    let path = canonical(results).map_err(results_stop)?;
    let key = path.display().to_string();
    let mut results = match ResultsFile::lock(&path) {
        Ok(results) => results,
        Err(ResultsError::Held(_)) => return Err(held(&*journal, &key).await),
        Err(error) => return Err(results_stop(error)),
    };
    let new = NewRun {
        results_path: key,
        tasks_path: plan.tasks.path().display().to_string(),
        simulated,
        holder: std::process::id(),
        now: Utc::now(),
    };
    let run = journal.open_run(new).await.map_err(journal_stop)?;
    let lost = journal.settle_lost(run.id, Utc::now()).await.map_err(journal_stop)?;
    let missing = results.reconcile(&*journal, &run).await.map_err(results_stop)?;
    if missing > 0 {
        tracing::warn!(missing, "committed results were missing in the results file and are back");
    }
    Ok(Opened { state: state.clone(), journal, run, results, lost })
}

/// Opens the journal of a state directory, or the configured one.
///
/// # Errors
/// When it cannot be used.
pub(crate) async fn open_journal(
    config: &Config,
    state: &StateDir,
    simulated: bool,
) -> Result<Arc<dyn Journal>, Stop> {
    let options = JournalOptions {
        create: true,
        path: journal_path(config, state, simulated),
        synchronous: match config.settings.journal.synchronous {
            Synchronous::Normal => polpo_store::journal::Synchronous::Normal,
            Synchronous::Full => polpo_store::journal::Synchronous::Full,
        },
    };
    let journal = SqliteJournal::open(options).await.map_err(journal_stop)?;
    Ok(Arc::new(journal))
}

/// Where the journal of a state directory, or the configured one, is or will be.
pub(crate) fn journal_path(config: &Config, state: &StateDir, simulated: bool) -> PathBuf {
    // A configured path is the real journal's; simulated runs never write there.
    let path = config.settings.journal.path.clone().filter(|_| !simulated);
    path.unwrap_or_else(|| state.file("journal.db"))
}

async fn held(journal: &dyn Journal, key: &str) -> Stop {
    let holder = journal.holder(key).await.ok().flatten();
    let who = holder.map_or_else(
        || "another polpo process".to_owned(),
        |holder| {
            let since = holder.since.format("%Y-%m-%d %H:%M:%S UTC");
            format!("polpo process {} since {since}", holder.pid)
        },
    );
    Stop::usage(format!("{key} is being written by {who}: wait for it, or stop it"))
}

fn results_stop(error: ResultsError) -> Stop {
    let exit = match &error {
        ResultsError::Held(_)
        | ResultsError::NotRegular(_)
        | ResultsError::Foreign(_)
        | ResultsError::Changed(_) => Exit::Usage,
        ResultsError::Io { .. } | ResultsError::Journal(_) => Exit::NotWritten,
    };
    Stop { exit, ..Stop::not_written(error) }
}

fn journal_stop(error: JournalError) -> Stop {
    let is_mismatch = matches!(error, JournalError::RunMismatch { .. });
    let stop = Stop::not_written(error);
    if is_mismatch { Stop { exit: Exit::Usage, ..stop } } else { stop }
}
