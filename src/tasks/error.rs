//! Why a task file cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::io_words;

/// Why a task file cannot be used: where, what is wrong, and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InputError {
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
    /// It has no task.
    #[error("no tasks in {}; write one JSON object a line, for example {{\"id\": \"t1\", \"prompt\": \"…\"}}", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// Some of its lines are wrong.
    #[error("{}", Listing { file, first, total: *total })]
    Lines {
        /// The file.
        file: PathBuf,
        /// The first of them, in the order of the file.
        first: Vec<LineError>,
        /// How many there are.
        total: u64,
    },
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, counted from 1, blank ones included.
    pub line: u64,
    /// What is wrong, and what to do where that is not plain.
    pub problem: String,
}

impl InputError {
    /// The same of a file by another name, for tasks that were copied before they were read.
    #[must_use]
    pub fn in_file(mut self, name: &Path) -> Self {
        let (Self::File { file, .. } | Self::Empty { file } | Self::Lines { file, .. }) = &mut self;
        *file = name.to_owned();
        self
    }

    pub(super) fn io(file: &Path, error: &std::io::Error) -> Self {
        Self::File {
            file: file.to_owned(),
            problem: format!("cannot be read: {}", io_words(error)),
            advice: "check the path and its permissions".into(),
        }
    }

    pub(super) fn line(file: &Path, line: u64, problem: String) -> Self {
        Self::Lines { file: file.to_owned(), first: vec![LineError { line, problem }], total: 1 }
    }
}

struct Listing<'a> {
    file: &'a Path,
    first: &'a [LineError],
    total: u64,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, LineError { line, problem }) in self.first.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{line}: {problem}", self.file.display())?;
        }
        let shown = u64::try_from(self.first.len()).unwrap_or(u64::MAX);
        match self.total.saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more wrong lines in {}", self.file.display()),
        }
    }
}
