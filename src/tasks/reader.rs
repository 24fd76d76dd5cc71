//! The second pass: the tasks of a file, one at a time.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::error::InputError;
use super::line::parse_task;
use super::lines::{Lines, open};
use super::task::Task;

/// The tasks of a file with the numbers of their lines, never more than one in memory.
pub struct TaskReader {
    file: PathBuf,
    lines: Lines<File>,
}

impl TaskReader {
    /// Opens a file that [`super::scan`] found good.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn open(file: &Path) -> Result<Self, InputError> {
        Ok(Self { file: file.to_owned(), lines: open(file)? })
    }
}

impl Iterator for TaskReader {
    type Item = Result<(u64, Task), InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.lines.next() {
            Ok(next) => next,
            Err(error) => return Some(Err(InputError::io(&self.file, &error))),
        };
        let (number, text) = next?;
        // The file was good when it was scanned, but may have been written to since.
        let task = text.and_then(parse_task);
        Some(
            task.map(|task| (number, task))
                .map_err(|problem| InputError::line(&self.file, number, problem)),
        )
    }
}

impl fmt::Debug for TaskReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskReader").field("file", &self.file).finish_non_exhaustive()
    }
}
