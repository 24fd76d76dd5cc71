//! The profile file `auth-profiles.json`: credentials, and what is remembered of them.

mod document;
mod error;
mod limits;
mod names;
mod stats;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use polpo_policy::health::Health;
use polpo_policy::id::{ProfileId, ProviderId};
use polpo_policy::limits::Timestamp;
use sha2::{Digest, Sha256};

use self::document::Document;
pub use self::error::ProfileFileError;
pub use self::names::profile_id;
pub use self::stats::as_kept;
use crate::disk::{self, Damage, Stamp};

/// The name of the lock on the file.
const LOCK: &str = "auth-profiles.lock";

/// The profile file of a state directory, shared with other processes. Every call blocks.
#[derive(Clone, Debug)]
pub struct ProfileFile {
    path: PathBuf,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A token that was logged in for and can be refreshed.
    OAuth,
    /// A key.
    ApiKey,
}

/// One stored credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// `provider:identifier`, see [`profile_id`].
    pub id: ProfileId,
    /// Whose API it is for.
    pub provider: ProviderId,
    /// What it is.
    pub kind: Kind,
    /// The access token or the key.
    pub access: String,
    /// What a new access token is asked for with.
    pub refresh: Option<String>,
    /// When the access token expires.
    pub expires: Option<Timestamp>,
    /// The account.
    pub email: Option<String>,
    /// When it was first stored.
    pub created_at: Timestamp,
}

/// A refreshed token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The access token.
    pub access: String,
    /// The refresh token that replaces the old one, if it does.
    pub refresh: Option<String>,
    /// When the access token expires.
    pub expires: Option<Timestamp>,
}

/// What the profile file says.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The credentials, in order of their ids.
    pub profiles: Vec<Stored>,
    /// What is remembered, also of profiles whose key is kept elsewhere. An organisation's limits
    /// are in each of its profiles.
    pub health: BTreeMap<ProfileId, Health>,
    /// What was wrong with the file and what was done about it, a sentence each.
    pub warnings: Vec<String>,
}

/// The right to refresh the token of one profile, of all processes. Released when dropped.
///
/// Take it before anything else is asked of the file, and ask the file again once it is held:
/// another process may have refreshed the token meanwhile.
#[derive(Debug)]
#[must_use = "the lock is released when it is dropped"]
pub struct RefreshLock {
    _file: File,
}

impl ProfileFile {
    /// The profile file of the state directory `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join("auth-profiles.json") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says; a missing one says nothing.
    ///
    /// # Errors
    /// When it cannot be read, or must not be.
    pub fn read(&self) -> Result<Contents, ProfileFileError> {
        let path = disk::resolve(&self.path)?;
        let mut warnings = Vec::new();
        let document = match self.load(&path, &mut warnings)? {
            Ok(document) => document,
            Err(_) => {
                let _lock = disk::lock(&path, LOCK)?;
                self.load_or_set_aside(&path, &mut warnings)?
            }
        };
        let mut contents = document.contents();
        let at = self.path.display();
        warnings.extend(contents.warnings.iter().map(|warning| format!("{at}: {warning}")));
        contents.warnings = warnings;
        Ok(contents)
    }

    /// Stores a credential, ends its windows as of `now` and returns warnings like
    /// [`Contents::warnings`]. One of the same id is replaced, but was created when it was.
    ///
    /// # Errors
    /// When the credential is malformed, or the file cannot be read or written.
    pub fn put(&self, profile: &Stored, now: Timestamp) -> Result<Vec<String>, ProfileFileError> {
        valid(&profile.id, names::fault_of(profile))?;
        let ((), warnings) = self.edit(|document| document.put(profile, now))?;
        Ok(warnings)
    }

    /// Stores a refreshed token, unless the profile is gone: then nothing is written and the
    /// answer is `false`.
    ///
    /// # Errors
    /// When the token is malformed, or the file cannot be read or written.
    pub fn update_token(&self, id: &ProfileId, token: &Token) -> Result<bool, ProfileFileError> {
        valid(id, names::fault_of_token(token))?;
        self.edit_and_log(|document| document.update_token(id, token))
    }

    /// Removes credentials with what is remembered of them, and returns those that were there.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remove(&self, ids: &[ProfileId]) -> Result<Vec<ProfileId>, ProfileFileError> {
        self.edit_and_log(|document| document.remove(ids))
    }

    /// Merges what this process knows into what the file remembers, and returns of the same
    /// profiles what is known together. The file keeps milliseconds.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remember(
        &self,
        health: BTreeMap<ProfileId, Health>,
    ) -> Result<BTreeMap<ProfileId, Health>, ProfileFileError> {
        self.edit_and_log(|document| document.remember(health))
    }

    /// Waits until no other process refreshes the token of `id`, and keeps them from it.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn lock_refresh(&self, id: &ProfileId) -> Result<RefreshLock, ProfileFileError> {
        let path = disk::resolve(&self.path)?;
        Ok(RefreshLock { _file: disk::lock(&path, &refresh_lock(id))? })
    }

    /// Like [`Self::lock_refresh`], but does not wait: `None` if another process refreshes it.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn try_lock_refresh(
        &self,
        id: &ProfileId,
    ) -> Result<Option<RefreshLock>, ProfileFileError> {
        let path = disk::resolve(&self.path)?;
        let lock = disk::try_lock(&path, &refresh_lock(id))?;
        Ok(lock.map(|file| RefreshLock { _file: file }))
    }

    /// The state of the file, `None` if there is none that could be read. Another one than before
    /// means that somebody wrote it.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }

    /// Changes the file under its lock, and writes it if that changed anything.
    fn edit<T>(
        &self,
        change: impl FnOnce(&mut Document) -> T,
    ) -> Result<(T, Vec<String>), ProfileFileError> {
        let path = disk::resolve(&self.path)?;
        disk::make_directory(disk::directory_of(&self.path))?;
        let _lock = disk::lock(&path, LOCK)?;
        let mut warnings = Vec::new();
        let mut document = self.load_or_set_aside(&path, &mut warnings)?;
        let before = document.clone();
        let answer = change(&mut document);
        if document != before {
            disk::replace(&path, &document.into_text())?;
        }
        Ok((answer, warnings))
    }

    /// The same for those who have nobody to warn.
    fn edit_and_log<T>(
        &self,
        change: impl FnOnce(&mut Document) -> T,
    ) -> Result<T, ProfileFileError> {
        let (answer, warnings) = self.edit(change)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(answer)
    }

    /// What the file says, or that it is damaged.
    fn load(
        &self,
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Result<Document, String>, ProfileFileError> {
        disk::make_private(disk::directory_of(&self.path), warnings)?;
        let Some(text) = disk::load(path, warnings)? else { return Ok(Ok(Document::default())) };
        if text.trim_ascii().is_empty() {
            let at = self.path.display();
            warnings.push(format!("{at} is empty: no profile is stored; log in again"));
            return Ok(Ok(Document::default()));
        }
        match Document::parse(&text) {
            Ok(document) => Ok(Ok(document)),
            Err(Damage::Corrupt(what)) => Ok(Err(what)),
            Err(Damage::Newer(found)) => Err(ProfileFileError::Newer {
                path: self.path.clone(),
                found,
                known: document::VERSION,
            }),
        }
    }

    /// The same under the lock, where a damaged file is moved aside and an empty one begun.
    fn load_or_set_aside(
        &self,
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Document, ProfileFileError> {
        self.load(path, warnings)?.or_else(|what| {
            let aside = disk::set_aside(path)?;
            let (at, aside) = (self.path.display(), aside.display());
            warnings.push(format!("{at} was damaged: {what}; it has been moved to {aside}"));
            Ok(Document::default())
        })
    }
}

fn valid(id: &ProfileId, fault: Option<&'static str>) -> Result<(), ProfileFileError> {
    let invalid = |problem| ProfileFileError::Invalid { id: id.to_string(), problem };
    fault.map_or(Ok(()), |problem| Err(invalid(problem)))
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The name of the lock under which a profile's token is refreshed.
fn refresh_lock(id: &ProfileId) -> String {
    let (provider, _) = id.as_str().split_once(':').unwrap_or_default();
    let hash = Sha256::digest(format!("{provider}\0{id}"));
    let hex = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("oauth-refresh/sha256-{hex}")
}
