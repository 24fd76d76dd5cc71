//! What can go wrong with a journal, for those who ask it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::call::CallId;
use super::run::RunId;

/// The cause of a [`JournalError`]; shared, as one failed commit fails all who wait for it.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why the journal did not do as it was asked.
///
/// Nothing of the request was written; if the disk failed in the middle of a commit, nobody can say.
#[derive(Clone, Debug, Error)]
pub enum JournalError {
    /// The file system failed.
    #[error("the journal {} could not be read or written; mend that: a gateway goes on by itself, a run by the same command again", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Cause,
    },
    /// There is no room for the journal to grow.
    #[error("no space left for the journal {}; free some: a gateway goes on by itself, a run by the same command again", path.display())]
    Full {
        /// The journal.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Cause,
    },
    /// The file is damaged, or no database at all.
    #[error("the journal {} is damaged or not a database; move it away to start a new one", path.display())]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Cause,
    },
    /// The file is a database of something else.
    #[error("{} is a database, but not a journal; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Other processes kept the journal locked.
    #[error("the journal {} was kept locked by another process", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Cause,
    },
    /// The journal was written by a newer version of this program.
    #[error(
        "the journal {} has schema version {found}, this program knows up to {known}; use a newer one",
        path.display()
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Our version.
        known: i64,
    },
    /// There is no journal, and none was to be created.
    #[error("there is no journal at {}", path.display())]
    Missing {
        /// Where there is none.
        path: PathBuf,
    },
    /// A simulated run was asked for a real run's results file, or the reverse.
    #[error(
        "{results_path} belongs to a {} run; name another results file",
        if *simulated { "simulated" } else { "real" }
    )]
    RunMismatch {
        /// The results file.
        results_path: String,
        /// What the run is.
        simulated: bool,
    },
    /// The journal knows no such run.
    #[error("the journal knows no run {0}")]
    UnknownRun(RunId),
    /// The journal knows no such call without an outcome.
    #[error("call {0} is not in flight")]
    UnknownCall(CallId),
    /// The journal knows no such message batch.
    #[error("the journal knows no batch {0}")]
    UnknownBatch(String),
    /// The journal knows this message batch already.
    #[error("the journal already has a batch {0}")]
    KnownBatch(String),
    /// Money is still held for this message batch.
    #[error("batch {0} is not settled")]
    UnsettledBatch(String),
    /// The request cannot be recorded as it is.
    #[error("the journal cannot record this: {0}")]
    Invalid(String),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// The database answered what it never should.
    #[error("the journal {} did not understand a request", path.display())]
    Internal {
        /// The journal.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Cause,
    },
}
