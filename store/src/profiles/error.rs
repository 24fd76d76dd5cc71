//! What can go wrong with the profile file. Nothing here ever holds what the file says.

use std::path::PathBuf;

use thiserror::Error;

use crate::disk::DiskError;

/// Why the profile file did not do as it was asked. Nothing of the request was written.
#[derive(Debug, Error)]
pub enum ProfileFileError {
    /// It could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
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
    /// What was to be stored could not be read again.
    #[error("the profile {id:?} cannot be stored: {problem}")]
    Invalid {
        /// The profile.
        id: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
}
