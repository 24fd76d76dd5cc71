//! The key file `gateway-keys.json`: client keys of the gateway, of each no more than its hash.
//!
//! Keys that are revoked or have ended stay in it: whoever shows one is told which it is, a copy of a
//! revoked one is revoked, too, and a gateway that had keys is not opened by the end of the last. They
//! are made by hand and take three hundred bytes each, so nothing removes them.

mod document;
mod error;

use std::path::{Path, PathBuf};

use polpo_policy::id::KeyName;
use polpo_policy::limits::Timestamp;
use polpo_policy::quota::Limits;

use self::document::Document;
pub use self::error::KeyFileError;
use crate::disk::{self, Damage, Stamp};

/// The name of the lock on the file.
const LOCK: &str = "gateway-keys.lock";

/// The key file of a state directory, shared with other processes. Every call blocks.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

/// One client key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name, which no other key has but revoked ones.
    pub name: KeyName,
    /// The SHA-256 of all of it. As it is random, its hash needs no salt, and time to be made.
    pub sha256: [u8; 32],
    /// Its first characters, for people to know it by.
    pub starts_with: String,
    /// What it may use.
    pub limits: Limits,
    /// Globs of the models it may ask for; none = all.
    pub models: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What the key file says.
#[derive(Clone, Debug, Default)]
pub struct KeyContents {
    /// The keys, in the order in which they were made, revoked ones too.
    pub keys: Vec<StoredKey>,
    /// How many there are in the file, with those that could not be understood.
    pub entries: usize,
    /// What was wrong with the file and what was done about it, a sentence each.
    pub warnings: Vec<String>,
}

/// What became of a key that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked now.
    Done,
    /// It was revoked before, then.
    Before(Timestamp),
    /// There is no key of that name.
    Unknown,
}

impl KeyFile {
    /// The key file of the state directory `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join("gateway-keys.json") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says; a missing one says nothing.
    ///
    /// # Errors
    /// When it cannot be read, or must not be. A damaged file is an error too: as if it were empty,
    /// nobody would need a key.
    pub fn read(&self) -> Result<KeyContents, KeyFileError> {
        let path = disk::resolve(&self.path)?;
        let mut warnings = Vec::new();
        let document = self
            .load(&path, &mut warnings)?
            .map_err(|problem| KeyFileError::Damaged { path: self.path.clone(), problem })?;
        let mut contents = document.contents();
        let at = self.path.display();
        warnings.extend(contents.warnings.iter().map(|warning| format!("{at}: {warning}")));
        contents.warnings = warnings;
        Ok(contents)
    }

    /// Stores a new key and returns warnings like [`KeyContents::warnings`].
    ///
    /// # Errors
    /// When there is a key of that name that is not revoked, or the file cannot be read or written.
    pub fn add(&self, key: &StoredKey) -> Result<Vec<String>, KeyFileError> {
        let (is_added, warnings) = self.edit(|document| document.add(key))?;
        if !is_added {
            return Err(KeyFileError::Taken { name: key.name.clone() });
        }
        Ok(warnings)
    }

    /// Revokes the key of that name, and returns warnings like [`KeyContents::warnings`].
    ///
    /// # Errors
    /// When the file cannot be read or written. A damaged one is left where it is: without it, and
    /// without a new key, nobody would need one.
    pub fn revoke(
        &self,
        name: &KeyName,
        now: Timestamp,
    ) -> Result<(Revocation, Vec<String>), KeyFileError> {
        self.read()?;
        self.edit(|document| document.revoke(name, now))
    }

    /// The state of the file, `None` if there is none that could be read. Another one than before
    /// means that somebody wrote it.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }

    /// Changes the file under its lock, and writes it if that changed anything. A damaged one is
    /// moved aside first.
    fn edit<T>(
        &self,
        change: impl FnOnce(&mut Document) -> T,
    ) -> Result<(T, Vec<String>), KeyFileError> {
        let path = disk::resolve(&self.path)?;
        disk::make_directory(disk::directory_of(&self.path))?;
        let _lock = disk::lock(&path, LOCK)?;
        let mut warnings = Vec::new();
        let mut document = match self.load(&path, &mut warnings)? {
            Ok(document) => document,
            Err(problem) => {
                let aside = disk::set_aside(&path)?;
                let (at, aside) = (self.path.display(), aside.display());
                warnings.push(format!(
                    "{at} was damaged: {problem}; it has been moved to {aside}, and no key in it \
                     is good any more"
                ));
                Document::default()
            }
        };
        let before = document.clone();
        let answer = change(&mut document);
        if document != before {
            disk::replace(&path, &document.into_text())?;
        }
        Ok((answer, warnings))
    }

    /// What the file says, or that it is damaged.
    fn load(
        &self,
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Result<Document, String>, KeyFileError> {
        disk::make_private(disk::directory_of(&self.path), warnings)?;
        let Some(text) = disk::load(path, warnings)? else { return Ok(Ok(Document::default())) };
        match Document::parse(&text) {
            Ok(document) => Ok(Ok(document)),
            Err(Damage::Corrupt(what)) => Ok(Err(what)),
            Err(Damage::Newer(found)) => Err(KeyFileError::Newer {
                path: self.path.clone(),
                found,
                known: document::VERSION,
            }),
        }
    }
}
