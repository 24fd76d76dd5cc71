//! What can go wrong with the profile file. Nothing here ever holds what the file says.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the profile file did not do as it was asked. Nothing of the request was written.
#[derive(Debug, Error)]
pub enum ProfileFileError {
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
    /// The file was written by a newer version of this program.
    #[error(
        "the profile file {} has version {found}, this program knows version {known}; upgrade it",
        path.display()
    )]
    Newer {
        /// The profile file.
        path: PathBuf,
        /// Its version.
        found: f64,
        /// Our version.
        known: u32,
    },
    /// The file is larger than any profile file can be.
    #[error(
        "the profile file {} is larger than {limit} bytes; move it away and log in again",
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
    /// What was to be stored could not be read again.
    #[error("the profile {id:?} cannot be stored: {problem}")]
    Invalid {
        /// The profile.
        id: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
}
