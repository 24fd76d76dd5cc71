//! Whom the gateway serves, and that changes are noticed.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta};
use polpo_policy::model::ModelSpec;
use polpo_policy::price::Nanodollars;
use polpo_store::keys::{KeyFile, StoredKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Duration, sleep};

use super::*;
use crate::config::{Accounts, load};

const ALICE: &str = "key-of-alice-0123456789";
const BOB: &str = "key-of-bob-0123456789";

fn now() -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// A polpo.json with this gateway, and a key file beside it.
struct Place {
    directory: TempDir,
    file: KeyFile,
}

impl Place {
    fn new(gateway: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::new(&directory.path().join("state"));
        let place = Self { directory, file };
        place.configure(gateway);
        place
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("polpo.json")
    }

    fn configure(&self, gateway: Value) {
        fs::write(self.path(), json!({ "gateway": gateway }).to_string()).unwrap();
    }

    fn source(&self) -> Source {
        let env = |_: &str| None;
        let config = load(Some(&self.path()), Accounts::Real, &env).unwrap();
        Source { config, accounts: Accounts::Real, env, file: self.file.clone() }
    }

    fn begin(&self) -> (Arc<ClientKeys>, Watch) {
        Watch::begin(self.source(), [], now()).unwrap()
    }

    fn keys(&self) -> Arc<ClientKeys> {
        self.begin().0
    }

    fn warnings(&self) -> Vec<String> {
        KeySet::gather(&self.source().config.gateway, &self.file).unwrap().warnings
    }

    /// Lets the watch notice what `change` does.
    async fn watched(&self, test: impl AsyncFnOnce(&ClientKeys)) {
        let (keys, watch) = self.begin();
        tokio::select! {
            () = test(&keys) => {}
            () = watch.keep() => panic!("the watch ended"),
        }
    }
}

/// A key file's key, of which `key` is shown.
fn stored(name: &str, key: &str) -> StoredKey {
    StoredKey {
        name: name.into(),
        sha256: hash(key.as_bytes()),
        starts_with: String::new(),
        limits: Limits::default(),
        models: Vec::new(),
        created_at: now(),
        expires: None,
        revoked_at: None,
    }
}

fn configured(name: &str, key: &str) -> Value {
    json!({ "name": name, "key": key })
}

fn name(found: Result<Arc<ClientKey>, Denied>) -> Result<String, Denied> {
    found.map(|key| key.name.to_string())
}

/// The watch looks every two seconds.
async fn a_look() {
    sleep(Duration::from_secs(3)).await;
}

const DOLLAR: Nanodollars = Nanodollars(1_000_000_000);

#[test]
fn a_client_is_found_by_its_key_wherever_that_is_written_down() {
    let limits = json!({
        "name": "alice", "key": ALICE, "requestsPerMinute": 5, "models": ["claude-haiku-*"]
    });
    let place = Place::new(json!({ "keys": [limits] }));
    place.file.add(&StoredKey { models: vec!["poe:*".into()], ..stored("bob", BOB) }).unwrap();
    let keys = place.keys();
    let alice = keys.find(ALICE.as_bytes(), now()).unwrap();
    assert_eq!((alice.name.as_str(), alice.limits.requests_per_minute), ("alice", 5));
    let bob = keys.find(BOB.as_bytes(), now()).unwrap();
    let allows = |key: &ClientKey, spec: &str| {
        key.models.as_ref().unwrap().allows(&ModelSpec::parse(spec).unwrap())
    };
    assert!(allows(&alice, "claude-haiku-4-5") && !allows(&alice, "poe:x"));
    assert!(allows(&bob, "poe:x") && !allows(&bob, "claude-haiku-4-5"));
    for other in ["", "key-of-alice", "key-of-alice-0123456789 ", "KEY-OF-BOB-0123456789"] {
        assert_eq!(name(keys.find(other.as_bytes(), now())), Err(Denied::Unknown), "{other}");
    }
    let listed: Vec<_> = keys.listed(now()).iter().map(|key| key.name.to_string()).collect();
    assert_eq!(listed, ["alice", "bob"]);
}

#[test]
fn what_is_kept_of_a_key_is_its_sha256() {
    let hex: String = hash(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_key_that_has_ended_or_was_taken_back_says_so() {
    let end = now() + TimeDelta::hours(1);
    let place = Place::new(json!({
        "keys": [{ "name": "alice", "key": ALICE, "expires": end.to_rfc3339() }]
    }));
    place.file.add(&StoredKey { expires: Some(end), ..stored("bob", BOB) }).unwrap();
    let keys = place.keys();
    let just_before = end - TimeDelta::nanoseconds(1);
    for key in [ALICE, BOB] {
        assert!(keys.find(key.as_bytes(), just_before).is_ok());
        assert_eq!(name(keys.find(key.as_bytes(), end)), Err(Denied::Expired));
    }
    assert_eq!((keys.listed(just_before).len(), keys.listed(end).len()), (2, 0));
    place.file.revoke(&"bob".into(), now()).unwrap();
    place.file.add(&stored("bob", "key-of-bob-the-second")).unwrap();
    let keys = place.keys();
    assert_eq!(name(keys.find(BOB.as_bytes(), now())), Err(Denied::Revoked));
    assert_eq!(name(keys.find(BOB.as_bytes(), end)), Err(Denied::Revoked));
    assert_eq!(name(keys.find(b"key-of-bob-the-second", now())), Ok("bob".into()));
}

#[test]
fn a_name_belongs_to_polpo_json_first_and_that_is_said() {
    let place = Place::new(json!({ "keys": [configured("alice", ALICE)] }));
    place.file.add(&stored("alice", BOB)).unwrap();
    let [warning] = &place.warnings()[..] else { panic!("{:?}", place.warnings()) };
    assert!(warning.contains("alice") && warning.contains("polpo.json"), "{warning}");
    let keys = place.keys();
    assert_eq!(name(keys.find(ALICE.as_bytes(), now())), Ok("alice".into()));
    assert_eq!(name(keys.find(BOB.as_bytes(), now())), Err(Denied::Unknown));

    place.file.revoke(&"alice".into(), now()).unwrap();
    assert_eq!(place.warnings(), [""; 0]);
    assert_eq!(name(place.keys().find(BOB.as_bytes(), now())), Err(Denied::Revoked));
}

#[test]
fn a_key_of_polpo_json_is_good_although_it_was_revoked_elsewhere_and_a_copy_is_not() {
    let place = Place::new(json!({ "keys": [configured("alice", ALICE)] }));
    for (owner, key) in [("ex-alice", ALICE), ("bob", BOB)] {
        place.file.add(&stored(owner, key)).unwrap();
        place.file.revoke(&owner.into(), now()).unwrap();
    }
    place.file.add(&stored("copy", BOB)).unwrap();
    let keys = place.keys();
    assert_eq!(name(keys.find(ALICE.as_bytes(), now())), Ok("alice".into()));
    assert_eq!(name(keys.find(BOB.as_bytes(), now())), Err(Denied::Revoked));
}

#[test]
fn the_admin_key_is_no_client_key_and_no_client_key_is_the_admin_key() {
    let place = Place::new(json!({ "adminKey": BOB, "keys": [configured("alice", ALICE)] }));
    let keys = place.keys();
    assert!(keys.is_admin(BOB.as_bytes()) && !keys.is_admin(ALICE.as_bytes()));
    assert_eq!(name(keys.find(BOB.as_bytes(), now())), Err(Denied::Unknown));
    let without = Place::new(json!({})).keys();
    assert!(!without.is_admin(BOB.as_bytes()) && !without.is_admin(b""));
}

#[test]
fn a_gateway_is_open_only_if_nobody_ever_had_a_key() {
    assert!(Place::new(json!({ "adminKey": BOB })).keys().is_open());
    assert!(!Place::new(json!({ "keys": [configured("alice", ALICE)] })).keys().is_open());
    let place = Place::new(json!({}));
    place.file.add(&StoredKey { expires: Some(now()), ..stored("bob", BOB) }).unwrap();
    assert!(!place.keys().is_open());
    place.file.revoke(&"bob".into(), now()).unwrap();
    assert!(!place.keys().is_open());
    // Nobody can use this one.
    fs::write(place.file.path(), "{ \"version\": 1, \"keys\": [{}] }").unwrap();
    assert!(!place.keys().is_open());
    fs::write(place.file.path(), "damaged").unwrap();
    let stop = Watch::begin(place.source(), [], now()).unwrap_err();
    assert!(stop.message.contains("damaged"), "{}", stop.message);
}

#[test]
fn what_a_name_has_spent_stays_with_it_and_its_limits_are_those_of_its_key() {
    let place = Place::new(json!({}));
    let budget = |dollars: i64| Limits {
        cost_total: Some(Nanodollars(dollars * DOLLAR.0)),
        ..Limits::default()
    };
    place.file.add(&StoredKey { limits: budget(10), ..stored("bob", BOB) }).unwrap();
    let spent = Spent { total: Nanodollars(7 * DOLLAR.0), ..Spent::default() };
    let (keys, _) = Watch::begin(place.source(), [("bob".into(), spent)], now()).unwrap();
    let bob = keys.find(BOB.as_bytes(), now()).unwrap();
    let demand = Demand { tokens: 1, cost: Some(Nanodollars(2 * DOLLAR.0)) };
    let admission = keys.admit(&bob, now(), &demand).unwrap();
    assert_eq!(keys.admit(&bob, now(), &demand).unwrap_err().kind(), "total");
    keys.settle(&bob.name, now(), admission, Used { tokens: 1, cost: DOLLAR });
    assert_eq!(keys.money(&bob.name, now()).spent_total, Nanodollars(8 * DOLLAR.0));
    keys.count(&bob, now()).unwrap();
    assert_eq!(keys.allowance(&bob, now()).remaining, 498);

    place.file.revoke(&"bob".into(), now()).unwrap();
    let again = stored("bob", "key-of-bob-the-second");
    place.file.add(&StoredKey { limits: budget(9), ..again }).unwrap();
    keys.replace(KeySet::gather(&place.source().config.gateway, &place.file).unwrap());
    let bob = keys.find(b"key-of-bob-the-second", now()).unwrap();
    assert_eq!(keys.admit(&bob, now(), &demand).unwrap_err().kind(), "total");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_added_changed_and_revoked_are_noticed() {
    let place = Place::new(json!({ "keys": [configured("alice", ALICE)] }));
    let watched = place.watched(async |keys| {
        place.file.add(&stored("bob", BOB)).unwrap();
        let limited = json!({ "name": "alice", "key": ALICE, "requestsPerMinute": 1 });
        place.configure(json!({ "keys": [limited] }));
        a_look().await;
        assert_eq!(name(keys.find(BOB.as_bytes(), now())), Ok("bob".into()));
        let alice = keys.find(ALICE.as_bytes(), now()).unwrap();
        keys.count(&alice, now()).unwrap();
        assert_eq!(keys.count(&alice, now()).unwrap_err().kind(), "requests");

        place.file.revoke(&"bob".into(), now()).unwrap();
        a_look().await;
        assert_eq!(name(keys.find(BOB.as_bytes(), now())), Err(Denied::Revoked));
        place.configure(json!({ "adminKey": ALICE }));
        a_look().await;
        assert_eq!(name(keys.find(ALICE.as_bytes(), now())), Err(Denied::Unknown));
        assert!(keys.is_admin(ALICE.as_bytes()));
    });
    watched.await;
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_a_file_changes_nothing_until_it_is_mended() {
    let place = Place::new(json!({ "keys": [configured("alice", ALICE)] }));
    place.file.add(&stored("bob", BOB)).unwrap();
    let good = fs::read(place.file.path()).unwrap();
    let watched = place.watched(async |keys| {
        for damage in [
            |place: &Place| place.configure(json!({ "keys": [{ "name": "carol" }] })),
            |place: &Place| fs::write(place.file.path(), "damaged").unwrap(),
        ] {
            damage(&place);
            a_look().await;
            assert_eq!(name(keys.find(ALICE.as_bytes(), now())), Ok("alice".into()));
            assert_eq!(name(keys.find(BOB.as_bytes(), now())), Ok("bob".into()));
            place.configure(json!({ "keys": [configured("alice", ALICE)] }));
        }
        place.configure(json!({}));
        a_look().await;
        assert!(keys.find(ALICE.as_bytes(), now()).is_ok(), "the other file is damaged still");
        fs::write(place.file.path(), &good).unwrap();
        a_look().await;
        assert_eq!(name(keys.find(ALICE.as_bytes(), now())), Err(Denied::Unknown));
        assert_eq!(name(keys.find(BOB.as_bytes(), now())), Ok("bob".into()));
    });
    watched.await;
}

#[tokio::test(start_paused = true)]
async fn the_first_key_closes_a_gateway_and_the_loss_of_the_last_does_not_open_it() {
    let place = Place::new(json!({}));
    let watched = place.watched(async |keys| {
        assert!(keys.is_open());
        place.file.add(&stored("bob", BOB)).unwrap();
        a_look().await;
        assert!(!keys.is_open());
        fs::remove_file(place.file.path()).unwrap();
        a_look().await;
        assert_eq!(name(keys.find(BOB.as_bytes(), now())), Err(Denied::Unknown));
        assert!(!keys.is_open());
    });
    watched.await;
}

#[test]
fn a_mistake_is_told_once_and_again_when_it_is_made_again() {
    let place = Place::new(json!({}));
    let (_, mut watch) = place.begin();
    let mut told = Vec::new();
    for gateway in [json!(5), json!(5), json!({}), json!(5)] {
        place.configure(gateway);
        let before = watch.complaint.clone();
        watch.look();
        told.push(watch.complaint.is_some() && watch.complaint != before);
    }
    assert_eq!(told, [true, false, false, true]);
}
