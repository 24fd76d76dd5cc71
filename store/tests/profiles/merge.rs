//! What two processes write does not undo one another.

use std::collections::BTreeMap;
use std::thread;

use chrono::TimeDelta;
use polpo_policy::health::Health;
use polpo_store::profiles::ProfileFile;

use crate::world::{at, clean, empty, json, key, limited, login, of};

const ID: &str = "anthropic:user@example.com";

#[test]
fn the_longer_window_holds_whoever_writes_last() {
    let (directory, one) = empty();
    let two = ProfileFile::new(directory.path());
    one.remember(of(ID, limited(at(9_000)))).unwrap();
    let shorter = Health { last_used: Some(at(5)), ..limited(at(4_000)) };
    let together = two.remember(of(ID, shorter)).unwrap();
    let expected = Health { last_used: Some(at(5)), ..limited(at(9_000)) };
    assert_eq!(together, of(ID, expected.clone()));
    assert_eq!(clean(&one).health, of(ID, expected));
}

#[test]
fn what_was_cleared_stays_cleared_whoever_still_remembers_it() {
    let (directory, one) = empty();
    let two = ProfileFile::new(directory.path());
    let known = Health { disabled_until: Some(at(9_000)), ..limited(at(9_000)) };
    one.remember(of(ID, known.clone())).unwrap();
    let mut cleared = known.clone();
    // The file keeps milliseconds: a part of one must not make what follows older.
    cleared.clear(at(100) + TimeDelta::microseconds(5));
    two.remember(of(ID, cleared.clone())).unwrap();
    let together = one.remember(of(ID, known)).unwrap();
    let expected = Health { cleared_at: Some(at(100)), ..Health::default() };
    assert_eq!(together, of(ID, expected.clone()));
    assert_eq!(
        json(&one)["usageStats"][ID],
        serde_json::json!({ "clearedAt": 1_768_392_000_100_i64 })
    );

    let known = Health { classes: limited(at(8_000)).classes, ..expected };
    one.remember(of(ID, known.clone())).unwrap();
    assert_eq!(two.remember(of(ID, cleared)).unwrap(), of(ID, known));
}

#[test]
fn a_new_credential_starts_without_windows_but_as_it_was_used_and_held() {
    let (_directory, file) = empty();
    file.put(&login(ID), at(0)).unwrap();
    let known = Health {
        last_used: Some(at(3)),
        held_at: Some(at(4)),
        revoked_at: Some(at(5)),
        ..limited(at(9_000))
    };
    file.remember(of(ID, known)).unwrap();
    let again = polpo_store::profiles::Stored { created_at: at(50), ..login(ID) };
    file.put(&again, at(50)).unwrap();
    let contents = clean(&file);
    let expected = Health {
        last_used: Some(at(3)),
        held_at: Some(at(4)),
        cleared_at: Some(at(50)),
        ..Health::default()
    };
    assert_eq!(contents.health, of(ID, expected));
    assert!(contents.profiles == [login(ID)], "it was created when it was");
}

#[test]
fn nothing_is_written_where_nothing_is_new() {
    let (_directory, file) = empty();
    assert_eq!(file.stamp(), None);
    assert_eq!(file.remember(BTreeMap::new()).unwrap(), BTreeMap::new());
    assert_eq!(file.stamp(), None);
    file.remember(of(ID, limited(at(9_000)))).unwrap();
    let stamp = file.stamp();
    assert!(stamp.is_some());
    file.remember(of(ID, limited(at(8_000)))).unwrap();
    assert_eq!(file.stamp(), stamp);
    file.remember(of(ID, limited(at(9_001)))).unwrap();
    assert_ne!(file.stamp(), stamp);
}

#[test]
fn threads_with_handles_of_their_own_lose_nothing() {
    let (directory, file) = empty();
    let write = |name: &'static str| {
        let file = ProfileFile::new(directory.path());
        move || {
            for count in 0..50 {
                let id = format!("anthropic:{name}-{count}");
                if count % 2 == 0 {
                    file.put(&key(&id), at(count)).unwrap();
                } else {
                    file.remember(of(&id, limited(at(count)))).unwrap();
                }
                let shared = Health { last_used: Some(at(count)), ..limited(at(count)) };
                file.remember(of("anthropic:shared", shared)).unwrap();
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(write("one"));
        scope.spawn(write("two"));
    });
    let contents = clean(&file);
    assert_eq!(contents.profiles.len(), 50);
    assert_eq!(contents.health.len(), 101);
    let shared = Health { last_used: Some(at(49)), ..limited(at(49)) };
    assert_eq!(contents.health[&"anthropic:shared".into()], shared);
}
