//! The result of a task: one line of the results file, and what is asked about it later.

use chrono::{DateTime, Utc};
use polpo_policy::id::{AgentId, ModelName, ProfileId};

use super::error::JournalError;
use super::run::RunId;

/// How a task ended, in the words of a batch result line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultKind {
    /// With a message.
    Succeeded,
    /// With an error.
    Errored,
    /// It was called off.
    Canceled,
    /// Its time ran out.
    Expired,
}

impl ResultKind {
    /// The value of the line's `type`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Errored => "errored",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

/// A result to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedLine {
    /// The run.
    pub run: RunId,
    /// The id of the task.
    pub custom_id: String,
    /// The hash of the task's effective request.
    pub request_sha256: String,
    /// How the task ended.
    pub kind: ResultKind,
    /// The line of the results file, whole, without its line feed.
    pub line: String,
    /// The agent that ran the task.
    pub agent: AgentId,
    /// The model of the last call.
    pub model: ModelName,
    /// The profile of the last call.
    pub profile: ProfileId,
    /// The task's metadata: the text of a JSON object.
    pub metadata: Option<String>,
    /// When the task ended.
    pub ended_at: DateTime<Utc>,
}

impl FinishedLine {
    /// Refuses what would break the results file or a later report.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        let invalid =
            |what: &str| Err(JournalError::Invalid(format!("{}: {what}", self.custom_id)));
        if self.line.contains('\n') {
            return invalid("a result line has a line feed in it");
        }
        let Some(metadata) = &self.metadata else { return Ok(()) };
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(metadata) {
            Ok(_) => Ok(()),
            Err(_) => invalid("its metadata is not a JSON object"),
        }
    }
}

/// What a resumed run needs to know of a task that has a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedTask {
    /// The id of the task.
    pub custom_id: String,
    /// The hash of the effective request it was finished for.
    pub request_sha256: String,
    /// Whether it ended as [`ResultKind::Succeeded`].
    pub succeeded: bool,
    /// Whether it was begun again since, and not ended.
    pub begun_again: bool,
}
