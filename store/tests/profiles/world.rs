//! What the tests are made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use polpo_policy::health::{ClassHealth, Health};
use polpo_policy::id::ProfileId;
use polpo_store::profiles::{Contents, Kind, ProfileFile, Stored};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const NAME: &str = "auth-profiles.json";

/// Milliseconds after noon of 14 January 2026, UTC.
pub(crate) fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_768_392_000_000 + millis).unwrap()
}

/// A state directory, and the file in it, which need not exist.
pub(crate) fn empty() -> (TempDir, ProfileFile) {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o700);
    let file = ProfileFile::new(directory.path());
    (directory, file)
}

/// The same with a file that says this.
pub(crate) fn saying(text: impl AsRef<[u8]>) -> (TempDir, ProfileFile) {
    let (directory, file) = empty();
    fs::write(file.path(), text).unwrap();
    set_mode(file.path(), 0o600);
    (directory, file)
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap()) & 0o7777
}

/// The names in a directory, in order, but for the locks.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "locks").collect();
    names.sort();
    names
}

pub(crate) fn json(file: &ProfileFile) -> Value {
    serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap()
}

/// What the file says, and nothing is wrong with it.
pub(crate) fn clean(file: &ProfileFile) -> Contents {
    let contents = file.read().unwrap();
    assert_eq!(contents.warnings, [""; 0]);
    contents
}

pub(crate) fn key(id: &str) -> Stored {
    Stored {
        id: id.into(),
        provider: "anthropic".into(),
        kind: Kind::ApiKey,
        access: format!("key-of-{id}"),
        refresh: None,
        expires: None,
        email: None,
        created_at: at(0),
    }
}

pub(crate) fn login(id: &str) -> Stored {
    Stored {
        kind: Kind::OAuth,
        refresh: Some("refresh-1".into()),
        expires: Some(at(3_600_000)),
        email: Some("user@example.com".into()),
        ..key(id)
    }
}

/// What is known of one profile.
pub(crate) fn of(id: &str, health: Health) -> BTreeMap<ProfileId, Health> {
    BTreeMap::from([(id.into(), health)])
}

/// A profile that had a rate limit for opus-4.
pub(crate) fn limited(until: DateTime<Utc>) -> Health {
    let class =
        ClassHealth { cooldown_until: Some(until), error_count: 1, ..ClassHealth::default() };
    Health { classes: [("opus-4".into(), class)].into(), ..Health::default() }
}
