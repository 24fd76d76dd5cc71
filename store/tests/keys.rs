//! The key file, as processes that share it see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::Limits;
use polpo_store::keys::{KeyContents, KeyFile, KeyFileError, Revocation, StoredKey};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAME: &str = "gateway-keys.json";

/// Milliseconds after noon of 14 January 2026, UTC.
fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_768_392_000_000 + millis).unwrap()
}

fn empty() -> (TempDir, KeyFile) {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(&directory.path().join("state"));
    (directory, file)
}

fn saying(text: impl AsRef<[u8]>) -> (TempDir, KeyFile) {
    let (directory, file) = empty();
    file.add(&key("first")).unwrap(); // It makes all that is needed private.
    fs::write(file.path(), text).unwrap();
    (directory, file)
}

fn key(name: &str) -> StoredKey {
    StoredKey {
        name: name.into(),
        sha256: std::array::from_fn(|at| u8::try_from(at * 7).unwrap()),
        starts_with: "sk-polpo-abcd".into(),
        limits: Limits::default(),
        models: Vec::new(),
        created_at: at(0),
        expires: None,
        revoked_at: None,
    }
}

fn limited() -> StoredKey {
    StoredKey {
        limits: Limits {
            requests_per_minute: 60,
            tokens_per_minute: Some(100_000),
            cost_per_day: Some(Nanodollars(1)),
            cost_total: Some(Nanodollars(1_000_000_000_000_000)),
            concurrency: Some(8),
        },
        models: vec!["claude-*".into(), "poe:*".into()],
        expires: Some(at(1)),
        ..key("limited")
    }
}

/// What the file says, and nothing is wrong with it.
fn clean(file: &KeyFile) -> KeyContents {
    let contents = file.read().unwrap();
    assert_eq!(contents.warnings, [""; 0]);
    contents
}

fn json(file: &KeyFile) -> Value {
    serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn asides(file: &KeyFile) -> Vec<String> {
    let entries = fs::read_dir(file.path().parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".corrupt-")).collect()
}

#[test]
fn a_missing_file_has_no_keys_and_is_not_made_by_reading() {
    let (directory, file) = empty();
    let contents = clean(&file);
    assert_eq!((contents.keys.len(), contents.entries, file.stamp()), (0, 0, None));
    assert!(!directory.path().join("state").exists());
}

#[test]
fn a_key_is_read_as_it_was_added_from_a_file_that_nobody_else_may_read() {
    let (_directory, file) = empty();
    for key in [key("plain"), limited()] {
        assert_eq!(file.add(&key).unwrap(), [""; 0]);
    }
    assert_eq!(clean(&file).keys, [key("plain"), limited()]);
    assert_eq!((mode(file.path()), mode(file.path().parent().unwrap())), (0o600, 0o700));
    insta::assert_snapshot!(fs::read_to_string(file.path()).unwrap());
}

#[test]
fn a_name_is_taken_until_its_key_is_revoked() {
    let (_directory, file) = empty();
    file.add(&key("alice")).unwrap();
    let before = fs::read(file.path()).unwrap();
    let error = file.add(&key("alice")).unwrap_err();
    assert!(matches!(&error, KeyFileError::Taken { name } if name.as_str() == "alice"), "{error}");
    assert_eq!(fs::read(file.path()).unwrap(), before);

    assert_eq!(file.revoke(&"bob".into(), at(1)).unwrap().0, Revocation::Unknown);
    assert_eq!(file.revoke(&"alice".into(), at(1)).unwrap().0, Revocation::Done);
    let again = file.revoke(&"alice".into(), at(2)).unwrap().0;
    assert_eq!(again, Revocation::Before(at(1)));
    file.add(&key("alice")).unwrap();
    let revoked = clean(&file).keys.into_iter().map(|key| key.revoked_at);
    assert_eq!(revoked.collect::<Vec<_>>(), [Some(at(1)), None]);
    assert_eq!(file.revoke(&"alice".into(), at(3)).unwrap().0, Revocation::Done);
}

#[test]
fn what_is_not_understood_survives() {
    let (_directory, file) = empty();
    file.add(&key("alice")).unwrap();
    let mut written = json(&file);
    written["later"] = json!({ "a": [1] });
    written["keys"][0]["note"] = "of alice".into();
    fs::write(file.path(), written.to_string()).unwrap();
    file.add(&key("bob")).unwrap();
    file.revoke(&"alice".into(), at(1)).unwrap();
    let written = json(&file);
    assert_eq!(
        (&written["later"], &written["keys"][0]["note"]),
        (&json!({ "a": [1] }), &json!("of alice"))
    );
    assert_eq!(clean(&file).keys.len(), 2);
}

#[test]
fn an_entry_that_is_not_understood_opens_nothing() {
    let (_directory, file) = empty();
    file.add(&limited()).unwrap();
    let whole = json(&file);
    for (name, value) in [
        ("name", json!("a b")),
        ("name", json!(null)),
        ("sha256", json!("00")),
        ("sha256", json!("é".repeat(32))),
        ("requestsPerMinute", json!(0)),
        ("requestsPerMinute", json!("many")),
        ("requestsPerMinute", json!(4_294_967_296_u64)),
        ("tokensPerMinute", json!(-1)),
        ("tokensPerMinute", json!(1.5)),
        ("maxCostUsdPerDay", json!("20")),
        ("maxCostUsd", json!(-1)),
        ("maxCostUsd", json!(1e-10)),
        ("maxConcurrency", json!([])),
        ("models", json!("claude-*")),
        ("models", json!([])),
        ("models", json!([1])),
        ("createdAt", json!(null)),
        ("expires", json!("tomorrow")),
        ("expires", json!(1_768_392_000_000_u64)),
        ("revokedAt", json!(true)),
    ] {
        let mut written = whole.clone();
        written["keys"][0][name] = value.clone();
        fs::write(file.path(), written.to_string()).unwrap();
        let contents = file.read().unwrap();
        assert_eq!((contents.keys.len(), contents.entries), (0, 1), "{name}: {value}");
        let [warning] = &contents.warnings[..] else { panic!("{:?}", contents.warnings) };
        assert!(warning.contains("keys[0]") && warning.contains(name), "{warning}");
    }
    // Without a limit there is none.
    let mut written = whole;
    for name in ["tokensPerMinute", "maxCostUsdPerDay", "maxCostUsd", "maxConcurrency", "models"] {
        written["keys"][0][name] = Value::Null;
    }
    fs::write(file.path(), written.to_string()).unwrap();
    let limits = Limits { requests_per_minute: 60, ..Limits::default() };
    assert_eq!(clean(&file).keys, [StoredKey { limits, models: Vec::new(), ..limited() }]);
}

#[test]
fn a_damaged_file_opens_nothing_and_is_moved_aside_by_who_adds_a_key() {
    for text in [
        "",
        "{",
        "[]",
        "{ \"keys\": [] }",
        "{ \"version\": 1 }",
        "{ \"version\": 0, \"keys\": [] }",
    ] {
        let (_directory, file) = saying(text);
        for error in [file.read().unwrap_err(), file.revoke(&"first".into(), at(0)).unwrap_err()] {
            assert!(matches!(error, KeyFileError::Damaged { .. }), "{text}: {error}");
            assert!(error.to_string().contains(NAME), "{error}");
        }
        assert_eq!(
            (fs::read_to_string(file.path()).unwrap().as_str(), asides(&file).len()),
            (text, 0)
        );

        let warnings = file.add(&key("new")).unwrap();
        assert!(warnings[0].contains("moved to"), "{warnings:?}");
        let [aside] = &asides(&file)[..] else { panic!("{text}") };
        assert_eq!(fs::read_to_string(file.path().with_file_name(aside)).unwrap(), text);
        assert_eq!(clean(&file).keys, [key("new")]);
    }
}

#[test]
fn a_file_of_a_later_version_is_neither_read_nor_touched() {
    let text = "{ \"version\": 2, \"keys\": {} }";
    let (_directory, file) = saying(text);
    for error in [
        file.read().unwrap_err(),
        file.add(&key("a")).unwrap_err(),
        file.revoke(&"a".into(), at(0)).unwrap_err(),
    ] {
        assert!(matches!(error, KeyFileError::Newer { known: 1, .. }), "{error}");
    }
    assert_eq!((fs::read_to_string(file.path()).unwrap().as_str(), asides(&file).len()), (text, 0));
}

#[test]
fn a_change_is_noticed_and_what_changes_nothing_is_not_written() {
    let (_directory, file) = empty();
    file.add(&key("a")).unwrap();
    let first = file.stamp();
    file.revoke(&"b".into(), at(0)).unwrap();
    file.add(&key("a")).unwrap_err();
    assert_eq!(file.stamp(), first);
    file.revoke(&"a".into(), at(0)).unwrap();
    assert_ne!(file.stamp(), first);
}

#[test]
fn those_who_write_at_once_lose_nothing() {
    let (_directory, file) = empty();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for count in 0..5 {
                    file.add(&key(&format!("{thread}-{count}"))).unwrap();
                }
            });
        }
    });
    assert_eq!(clean(&file).keys.len(), 20);
}
