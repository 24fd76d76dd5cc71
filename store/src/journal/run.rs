//! A run: the work on one results file, however many processes it takes.

use std::fmt;

use chrono::{DateTime, Utc};

/// A run in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The canonical path of the results file: what the run is known by.
    pub results_path: String,
    /// Where its tasks come from.
    pub tasks_path: String,
    /// Whether it runs against the simulator. A run never changes sides.
    pub simulated: bool,
    /// The process id of the opener.
    pub holder: u32,
    /// The time of the opening.
    pub now: DateTime<Utc>,
}

/// A run as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Whether this request created it.
    pub created: bool,
    /// The canonical path of the results file.
    pub results_path: String,
    /// Where its tasks come from, as the last opener said.
    pub tasks_path: String,
    /// Whether it runs against the simulator.
    pub simulated: bool,
    /// How far the results file is known to hold the lines.
    pub appended: Appended,
    /// Whether a result was replaced since the results file was last rewritten.
    pub rewrite_pending: bool,
    /// Tasks with a committed result.
    pub results: u64,
    /// Who opened it last; the one who opens it, once opened.
    pub holder: Holder,
    /// When it was opened first.
    pub created_at: DateTime<Utc>,
}

/// How far a results file is known to hold the lines of its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// The place of the last line it holds; 0 for none.
    pub seq: i64,
    /// Its length up to there.
    pub bytes: i64,
}

/// Who opened a run last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// Since when.
    pub since: DateTime<Utc>,
}
