//! What SQLite's errors mean to those who ask the journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::error::DatabaseError;

use crate::journal::{Cause, JournalError};

/// Why a request did not become part of its transaction.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is at fault itself: the others of its group go on without it.
    Refused(JournalError),
    /// The transaction cannot go on.
    Broken(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match primary_code(&error) {
            Some(CONSTRAINT | TOO_BIG) => Self::Refused(JournalError::Invalid(error.to_string())),
            Some(_) | None => Self::Broken(error),
        }
    }
}

/// Whether a row names another that does not exist.
pub(super) fn names_unknown(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation)
}

/// Where the journal is: errors name it.
#[derive(Clone, Debug)]
pub(super) struct Place(Arc<Path>);

impl Place {
    /// The absolute path, so that SQLite takes no file for a URI or `:memory:`.
    pub(super) fn of(path: &Path) -> Result<Self, JournalError> {
        match std::path::absolute(path) {
            Ok(path) => Ok(Self(path.into())),
            Err(error) => {
                let (path, source) = (path.to_owned(), Arc::new(error));
                Err(JournalError::Io { path, source })
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn check<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, JournalError> {
        result.map_err(|error| self.database(error))
    }

    pub(super) fn io(&self, error: io::Error) -> JournalError {
        let (path, kind, source) = self.parts(error.kind(), error);
        if kind == io::ErrorKind::StorageFull {
            JournalError::Full { path, source }
        } else {
            JournalError::Io { path, source }
        }
    }

    pub(super) fn database(&self, error: sqlx::Error) -> JournalError {
        if matches!(error, sqlx::Error::PoolClosed) {
            return JournalError::Closed;
        }
        if let sqlx::Error::Io(error) = error {
            return self.io(error);
        }
        let waited = matches!(error, sqlx::Error::PoolTimedOut);
        let code = error.as_database_error().and_then(full_code);
        let (path, code, source) = self.parts(code, error);
        match code.map(|code| (code & 0xff, code)) {
            Some((BUSY | LOCKED, _)) => JournalError::Busy { path, source },
            None if waited => JournalError::Busy { path, source },
            Some((FULL, _) | (_, IO_SHARED_MEMORY_SIZE)) => JournalError::Full { path, source },
            Some((PERMISSION | READ_ONLY | IO | CANNOT_OPEN, _)) => {
                JournalError::Io { path, source }
            }
            Some((CORRUPT | NOT_A_DATABASE, _)) => JournalError::Corrupt { path, source },
            Some(_) | None => JournalError::Internal { path, source },
        }
    }

    fn parts<K, E>(&self, kind: K, error: E) -> (PathBuf, K, Cause)
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        (self.0.to_path_buf(), kind, Arc::new(error))
    }
}

// SQLite's result codes, <https://www.sqlite.org/rescode.html>.
const PERMISSION: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const IO: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const NOT_A_DATABASE: i32 = 26;
/// The disk had no room for the index of the write-ahead log.
const IO_SHARED_MEMORY_SIZE: i32 = IO | (19 << 8);

fn full_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code()?.parse().ok()
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error().and_then(full_code).map(|code| code & 0xff)
}
