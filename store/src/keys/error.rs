//! What can go wrong with the key file. Nothing here ever holds what the file says.

use std::path::PathBuf;

use polpo_policy::id::KeyName;
use thiserror::Error;

use crate::disk::DiskError;

/// Why the key file did not do as it was asked. Nothing of the request was written.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file was written by a newer version of this program.
    #[error(
        "the key file {} has version {found}, this program knows version {known}; upgrade it",
        path.display()
    )]
    Newer {
        /// The key file.
        path: PathBuf,
        /// Its version.
        found: f64,
        /// Our version.
        known: u32,
    },
    /// The file is not what it should be.
    #[error(
        "the key file {} is damaged: {problem}; mend it, or move it away and make new keys with \
         `polpo gateway key add`",
        path.display()
    )]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it, and nothing of what it says.
        problem: String,
    },
    /// The name is that of a key that is not revoked.
    #[error(
        "there is a key named {name} already: choose another name, or revoke it first with \
         `polpo gateway key revoke {name}`"
    )]
    Taken {
        /// The name.
        name: KeyName,
    },
}
