//! What can go wrong with a file of the state directory. Nothing here ever holds what it says.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a file could not be read or written.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The file system failed.
    #[error("{} could not be {action}; mend that and try again", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was to be done to it: `read`, `locked`, …
        action: &'static str,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any of its kind can be.
    #[error(
        "{} is larger than {limit} bytes; move it away",
        path.display()
    )]
    TooLarge {
        /// The profile file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// There is a directory or a device in place of the file.
    #[error("{} is not a regular file; move it away", path.display())]
    NotAFile {
        /// What is in its place.
        path: PathBuf,
    },
    /// Somebody else could read or replace the secrets.
    #[error(
        "{} belongs to user {owner}, who could read the secrets in it; chown it to user {user} or name another --state-dir",
        path.display()
    )]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },
}
