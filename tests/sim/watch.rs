//! Keys that come, go and change while everything runs.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::DateTime;
use polpo::config::{Accounts, Config, load};
use polpo::roster::{Connect, Roster, Supply, Watch};
use polpo_agents::clock::Clock;
use polpo_agents::messages::Report;
use polpo_agents::token::Vault;
use polpo_policy::health::Health;
use polpo_policy::pool::seat::ProfileState;
use polpo_store::profiles::{Kind, ProfileFile, Stored};
use tempfile::TempDir;

use crate::reply::limited;
use crate::script::Script;
use crate::system::simulate;
use crate::world::{World, agent, answer, pass};

struct Place {
    world: World,
    directory: TempDir,
}

fn no_env(_: &str) -> Option<String> {
    None
}

impl Place {
    /// A run with the keys of a polpo.json, which is watched while `test` runs.
    async fn watched(keys: &str, test: impl AsyncFnOnce(&Self)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("polpo.json");
        write(&path, keys);
        let config = load(Some(&path), Accounts::Real, &no_env).unwrap();
        let clock = Clock::starting_at(DateTime::UNIX_EPOCH);
        let file = ProfileFile::new(&directory.path().join("state"));
        let script = Script::new();
        let connect: Connect = {
            let script = script.clone();
            Arc::new(move |_| Ok(script.wire("any")))
        };
        let vault = Vault::new(file.clone(), clock.clone());
        let watch = |config: Config, clock, roster, supply| {
            let (file, stamp) = (file.clone(), file.stamp());
            Watch { config, env: no_env, file, clock, supply, roster, stamp, complaint: None }
        };
        let roster = Roster::find(&config, &file, &no_env, clock.now()).unwrap();
        let mut supply = Supply::new(vault, connect, None);
        let outlets = supply.outlets(&roster).unwrap();
        let watch = watch(config, clock.clone(), roster, supply);
        let place = (clock, file.clone());
        let world = World::start(vec![agent("agent")], outlets, place, script).await;
        let keeping = watch.keep(world.actors.clone());
        let place = Self { world, directory };
        tokio::select! {
            () = test(&place) => {}
            () = keeping => panic!("the watch ended"),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("polpo.json")
    }

    async fn profiles(&self) -> Vec<(String, ProfileState)> {
        let reports = self.world.actors.scheduler.send(Report).await.unwrap();
        reports.into_iter().map(|report| (report.profile.to_string(), report.state)).collect()
    }

    async fn names(&self) -> Vec<String> {
        self.profiles().await.into_iter().map(|(name, _)| name).collect()
    }
}

fn write(path: &std::path::Path, keys: &str) {
    let text = format!(
        r#"{{"providers": {{"anthropic": {{"baseUrl": "http://127.0.0.1:1", "apiKeys": {keys}}}}}}}"#
    );
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_key_that_is_added_serves_those_who_wait_and_one_that_is_removed_serves_nobody() {
    simulate(async || {
        Place::watched(r#"["sk-one"]"#, async |place| {
            let first = place.names().await.remove(0);
            place.world.script.on("any", [limited(3000)]);
            let asking = place.world.ask("waits");
            let adding = async {
                pass(11).await;
                write(&place.path(), r#"["sk-one", "sk-two"]"#);
            };
            let (outcome, ()) = tokio::join!(asking, adding);
            assert_eq!(answer(&outcome), "fine");
            let at: Vec<u64> = place.world.trace().iter().map(|(at, _)| at / 1000).collect();
            assert_eq!(at, [0, 12]);
            write(&place.path(), r#"["sk-two"]"#);
            pass(3).await;
            let left = place.names().await;
            assert!(left.len() == 1 && left[0] != first, "{left:?}");
        })
        .await;
    });
}

#[test]
fn a_file_that_is_half_written_changes_nothing() {
    simulate(async || {
        Place::watched(r#"["sk-one"]"#, async |place| {
            let before = place.profiles().await;
            std::fs::write(place.path(), "{").unwrap();
            pass(10).await;
            assert_eq!(place.profiles().await, before);
            write(&place.path(), r#"["sk-one", "sk-two"]"#);
            pass(3).await;
            assert_eq!(place.names().await.len(), 2);
        })
        .await;
    });
}

#[test]
fn what_others_write_into_the_profile_file_is_heard() {
    simulate(async || {
        Place::watched(r#"["sk-one"]"#, async |place| {
            let (file, clock) = (&place.world.file, &place.world.clock);
            let one = place.names().await.remove(0);
            pass(10).await;
            let revoked = Health { revoked_at: Some(clock.now()), ..Health::default() };
            file.remember([(one.as_str().into(), revoked.clone())].into()).unwrap();
            pass(3).await;
            assert_eq!(place.profiles().await[0].1, ProfileState::Revoked);
            let mut cleared = revoked;
            cleared.clear(clock.now());
            file.remember([(one.as_str().into(), cleared)].into()).unwrap();
            pass(3).await;
            assert_eq!(place.profiles().await[0].1, ProfileState::Ready);
        })
        .await;
    });
}

#[test]
fn a_stored_key_is_used_once_no_other_is_there_and_a_token_until_it_expires() {
    simulate(async || {
        Place::watched(r#"["sk-one"]"#, async |place| {
            let (file, clock) = (&place.world.file, &place.world.clock);
            pass(10).await;
            let stored = |name: &str, kind, expires| Stored {
                id: format!("anthropic:{name}").into(),
                provider: "anthropic".into(),
                kind,
                access: format!("sk-{name}"),
                refresh: None,
                expires,
                email: None,
                created_at: clock.now(),
            };
            let end = clock.now() + std::time::Duration::from_secs(60);
            file.put(&stored("key", Kind::ApiKey, None), clock.now()).unwrap();
            file.put(&stored("login", Kind::OAuth, Some(end)), clock.now()).unwrap();
            pass(3).await;
            assert_eq!(place.names().await.len(), 1, "a key of polpo.json goes before");
            std::fs::write(
                place.path(),
                r#"{"providers": {"anthropic": {"baseUrl": "http://127.0.0.1:1"}}}"#,
            )
            .unwrap();
            pass(3).await;
            assert_eq!(place.names().await, ["anthropic:key", "anthropic:login"]);
            pass(60).await;
            assert_eq!(place.names().await, ["anthropic:key"]);
        })
        .await;
    });
}
