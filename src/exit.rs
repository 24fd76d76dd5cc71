//! How a command ends.

use std::error::Error;
use std::process::ExitCode;

use thiserror::Error;

/// The exit codes of the program; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All succeeded.
    Success,
    /// Some tasks failed.
    TasksFailed,
    /// A login failed, or a provider that is needed has no credential.
    Failed,
    /// Usage, configuration or input.
    Usage,
    /// A profile that is needed is out of use, or will be soon.
    Impaired,
    /// No usable credential.
    NoCredential,
    /// The journal or the results could not be written.
    NotWritten,
    /// Interrupted, resumable.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::TasksFailed | Self::Failed => 1,
            Self::Usage | Self::Impaired => 2,
            Self::NoCredential => 4,
            Self::NotWritten => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A command that cannot go on: what to tell, and how to end.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Stop {
    /// How to end.
    pub exit: Exit,
    /// What was wrong, where, and what to do next.
    pub message: String,
}

impl Stop {
    /// A mistake in usage, configuration or input.
    pub fn usage(error: impl Into<Fault>) -> Self {
        Self { exit: Exit::Usage, message: told(&error.into()) }
    }

    /// No usable credential.
    pub fn no_credential(error: impl Into<Fault>) -> Self {
        Self { exit: Exit::NoCredential, message: told(&error.into()) }
    }

    /// The journal or the results could not be written.
    pub fn not_written(error: impl Into<Fault>) -> Self {
        Self { exit: Exit::NotWritten, message: told(&error.into()) }
    }
}

/// What a command stopped for.
type Fault = Box<dyn Error + Send + Sync>;

/// An error with all that caused it, what a library says twice once.
fn told(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
