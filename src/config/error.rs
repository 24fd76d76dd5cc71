//! Why a configuration cannot be used.

use std::path::PathBuf;

use thiserror::Error;

use super::path::JsonPath;

/// Why a configuration cannot be used: where, what is wrong, and what to do.
///
/// No variant has a source: the errors of the libraries below quote values, which may be secrets.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file itself is the trouble.
    #[error("{}: {problem}; {advice}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// Something in the file is.
    #[error("{}:{line}:{column}: {}{problem}; {advice}", file.display(), lead(path))]
    Entry {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The character in the line, counted from 1.
        column: usize,
        /// The path in the JSON, empty for the whole of it.
        path: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// An environment variable is, or the built-in defaults with what it says.
    #[error("environment variable {variable}: {problem}; {advice}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },
}

/// Why a file could not be used, in words for its user.
pub(crate) fn io_words(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound {
        return "there is no such file".to_owned();
    }
    kind.to_string()
}

fn lead(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// What is wrong with a value, before it is known where in the file that is.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) problem: String,
    pub(super) advice: String,
}

/// Where a value came from.
#[derive(Debug)]
pub(super) enum Place {
    /// From the file.
    Path(JsonPath),
    /// From this environment variable.
    Variable(&'static str),
}

impl Fault {
    pub(super) fn at(path: &JsonPath, problem: impl Into<String>, advice: &str) -> Self {
        let place = Place::Path(path.clone());
        Self { place, problem: problem.into(), advice: advice.into() }
    }

    pub(super) fn variable(name: &'static str, problem: impl Into<String>, advice: &str) -> Self {
        Self { place: Place::Variable(name), problem: problem.into(), advice: advice.into() }
    }
}
