//! Tokens of profiles that somebody logged in for: who renews them, when, and what comes of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use polpo_agents::clock::Clock;
use polpo_agents::job::Outcome;
use polpo_agents::signer::Signing;
use polpo_agents::token::{TokenKeeper, Vault};
use polpo_policy::pool::seat::ProfileState;
use polpo_store::profiles::{Kind, ProfileFile, Stored, Token};
use polpo_upstream::error::TransportError;
use polpo_upstream::oauth::OAuthClient;
use polpo_upstream::transport::{Call, Sending, Transport};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::oauth::Party;
use crate::script::Script;
use crate::system::{in_real_time, simulate};
use crate::world::{World, agent, answer, keyed, pass};

const PROFILE: &str = "anthropic:b@example.com";

/// Requests for tokens that pass through [`Tap`], and what is done to them.
#[derive(Default)]
struct Seen {
    /// When each was sent, in seconds.
    renewals: Vec<i64>,
    /// How long an answer takes.
    delay: Duration,
    is_down: bool,
    /// Whether the profile file is out of reach when an answer comes.
    is_full: bool,
    /// Calls whose token was not the one on the disk.
    unsaved: usize,
}

/// The way to the simulator, seen from beside it.
struct Tap {
    party: Arc<Party>,
    file: ProfileFile,
    seen: Arc<Mutex<Seen>>,
}

impl Transport for Tap {
    fn send(&self, call: Call) -> Sending {
        let mut seen = self.seen.lock().unwrap();
        let (delay, is_down) = (seen.delay, seen.is_down);
        if call.path != "/v1/oauth/token" {
            let kept = format!("Bearer {}", stored(&self.file).access);
            seen.unsaved += usize::from(call.headers["authorization"] != kept.as_str());
            return self.party.transport.send(call);
        }
        seen.renewals.push(self.party.now().timestamp());
        if seen.is_full {
            block(&self.file);
        }
        let sending = (!is_down).then(|| self.party.transport.send(call));
        Box::pin(async move {
            sleep(delay).await;
            sending.ok_or(TransportError::Connect)?.await
        })
    }
}

/// Puts a directory in the place of the file.
fn block(file: &ProfileFile) {
    std::fs::rename(file.path(), file.path().with_extension("aside")).unwrap();
    std::fs::create_dir(file.path()).unwrap();
}

fn unblock(file: &ProfileFile) {
    std::fs::remove_dir(file.path()).unwrap();
    std::fs::rename(file.path().with_extension("aside"), file.path()).unwrap();
}

fn stored(file: &ProfileFile) -> Stored {
    file.read().unwrap().profiles.remove(0)
}

/// One profile with a token that holds for nine minutes, and `others` with scripted keys.
struct Login {
    party: Arc<Party>,
    world: World,
    vault: Vault,
    keeper: Arc<TokenKeeper>,
    seen: Arc<Mutex<Seen>>,
    _directory: TempDir,
}

impl Login {
    async fn new(others: &[&str]) -> Self {
        let (party, script) = (Arc::new(Party::new()), Script::new());
        let clock = Clock::starting_at(party.now());
        let directory = tempfile::tempdir().unwrap();
        let file = ProfileFile::new(directory.path());
        let grant = party.sign_in().await;
        let profile = Stored {
            id: PROFILE.into(),
            provider: "anthropic".into(),
            kind: Kind::OAuth,
            access: grant.access,
            refresh: grant.refresh,
            expires: Some(grant.expires),
            email: grant.email,
            created_at: clock.now(),
        };
        file.put(&profile, clock.now()).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let tap = Tap { party: party.clone(), file: file.clone(), seen: seen.clone() };
        let tap: Arc<dyn Transport> = Arc::new(tap);
        let client = OAuthClient::new(party.settings.clone(), tap.clone());
        let vault = Vault::new(file.clone(), clock.clone());
        let headers = party.settings.call_headers.clone();
        let keeper = TokenKeeper::new(profile, Some(client), headers, vault.clone()).unwrap();
        let mut outlet = keyed("b@example.com", tap, "sk-none", 64);
        let keeper = Arc::new(keeper);
        outlet.signing = Signing::Token(keeper.clone());
        let keys = others.iter().map(|name| keyed(name, script.wire(name), "sk-none", 64));
        let outlets = keys.chain([outlet]).collect();
        let world = World::start(vec![agent("agent")], outlets, (clock, file), script).await;
        Self { party, world, vault, keeper, seen, _directory: directory }
    }

    fn renewals(&self) -> Vec<i64> {
        self.seen.lock().unwrap().renewals.clone()
    }

    fn stored(&self) -> Stored {
        stored(&self.world.file)
    }

    fn edit(&self, edit: impl FnOnce(&mut Seen)) {
        edit(&mut self.seen.lock().unwrap());
    }

    async fn ask_together(&self, count: usize) -> Vec<Outcome> {
        let prompts: Vec<String> = (0..count).map(|n| format!("what is {n}?")).collect();
        join_all(prompts.iter().map(|prompt| self.world.ask(prompt))).await
    }

    async fn control(&self, what: &str, body: serde_json::Value) {
        assert_eq!(self.party.post(&format!("/_sim/oauth/{what}"), None, &body).await.0, 204);
    }
}

#[track_caller]
fn all_succeeded(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let failed = answer(outcome).starts_with("Errored") || answer(outcome).starts_with("Pend");
        assert!(!failed && outcome.spent.calls == 1, "{outcome:?}");
    }
}

#[test]
fn a_token_that_has_expired_is_renewed_once_for_all_who_wait_and_written_before_it_is_used() {
    simulate(async || {
        let login = Login::new(&[]).await;
        login.edit(|seen| seen.delay = Duration::from_secs(2));
        pass(539).await;
        all_succeeded(&login.ask_together(1).await);
        assert_eq!(login.renewals(), [0; 0], "nothing is taken off");
        pass(1).await;
        let old = login.stored();
        all_succeeded(&login.ask_together(50).await);
        assert_eq!(login.renewals(), [540]);
        let new = login.stored();
        assert!(new.access != old.access && new.refresh != old.refresh);
        assert_eq!(login.seen.lock().unwrap().unsaved, 0);
    });
}

#[test]
fn whoever_goes_away_while_a_token_is_renewed_loses_nothing() {
    simulate(async || {
        let login = Login::new(&[]).await;
        login.edit(|seen| seen.delay = Duration::from_secs(5));
        pass(600).await;
        let old = login.stored();
        assert!(timeout(Duration::from_secs(1), login.ask_together(3)).await.is_err());
        assert_eq!(login.stored().access, old.access);
        login.vault.settled().await;
        assert_ne!(login.stored().refresh, old.refresh);
        all_succeeded(&login.ask_together(3).await);
        assert_eq!(login.renewals(), [600]);
    });
}

#[test]
fn a_renewal_outlives_the_runtime_of_who_asked_for_it() {
    in_real_time(async || {
        let login = Login::new(&[]).await;
        login.edit(|seen| seen.delay = Duration::from_millis(100));
        let (old, keeper, seen) = (login.stored(), login.keeper.clone(), login.seen.clone());
        // As a worker of the gateway's server is one, which ends before the program does.
        let worker = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let refused = keeper.credential().await.unwrap();
                let is_sent = async {
                    while seen.lock().unwrap().renewals.is_empty() {
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                tokio::select! {
                    _ = keeper.rejected(&refused) => {}
                    () = is_sent => {}
                }
            });
        });
        worker.await.unwrap();
        login.vault.settled().await;
        assert_ne!(login.stored().refresh, old.refresh);
    });
}

#[test]
fn a_token_that_cannot_be_written_is_not_used_and_written_when_it_can_be() {
    simulate(async || {
        let login = Login::new(&["key"]).await;
        pass(600).await;
        login.edit(|seen| seen.is_full = true);
        assert_eq!(answer(&login.world.ask("one").await), "fine", "by the key");
        unblock(&login.world.file);
        pass(61).await;
        all_succeeded(&login.ask_together(2).await);
        assert_eq!(login.renewals(), [600]);
        assert_eq!(login.seen.lock().unwrap().unsaved, 0);
        assert!(login.stored().expires > Some(login.party.now()));
    });
}

#[test]
fn a_token_that_is_refused_before_its_time_is_renewed_once_and_the_call_is_sent_again() {
    simulate(async || {
        let login = Login::new(&[]).await;
        login.control("expire", json!({"email": "b@example.com"})).await;
        all_succeeded(&login.ask_together(20).await);
        assert_eq!(login.renewals(), [0]);
        assert_eq!(login.world.rows().len(), 20, "what is sent twice is one call");
    });
}

#[test]
fn a_login_that_is_over_takes_its_profile_out_and_says_what_to_do() {
    simulate(async || {
        let login = Login::new(&[]).await;
        login.control("revoke", json!({"email": "b@example.com"})).await;
        let outcome = login.world.ask("a").await;
        assert_eq!(outcome.spent.calls, 1);
        assert_eq!((answer(&outcome).as_str(), outcome.spent.cost.0), ("Pending", 0));
        assert_eq!(login.renewals(), [0]);
        assert_eq!(login.world.observe().await.profiles, [(ProfileState::Revoked, 1)]);
        login.world.actors.flush().await;
        let health = login.world.file.read().unwrap().health;
        let health = &health[&PROFILE.into()];
        assert_eq!(health.last_error.as_deref(), Some("auth"));
    });
}

#[test]
fn a_login_server_that_cannot_be_reached_rests_the_profile_for_longer_and_longer() {
    simulate(async || {
        let login = Login::new(&["key"]).await;
        pass(600).await;
        login.edit(|seen| seen.is_down = true);
        for _ in 0..300 {
            assert_eq!(answer(&login.world.ask("again").await), "fine");
            pass(10).await;
        }
        let renewals = login.renewals();
        let apart: Vec<i64> = renewals.windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
        assert_eq!(apart[..3], [1, 5, 25], "{renewals:?}");
        login.edit(|seen| seen.is_down = false);
        pass(3600).await;
        login.ask_together(2).await;
        assert_eq!(
            login.world.observe().await.profiles,
            [(ProfileState::Ready, 1), (ProfileState::Probing, 1)]
        );
    });
}

#[test]
fn a_login_server_that_says_when_to_come_again_is_taken_at_its_word() {
    simulate(async || {
        let login = Login::new(&["key"]).await;
        pass(600).await;
        login.control("throttle", json!({"seconds": 90})).await;
        for _ in 0..10 {
            login.world.ask("again").await;
            pass(10).await;
        }
        assert_eq!(login.renewals(), [600, 690]);
    });
}

#[test]
fn the_token_that_another_process_has_renewed_is_taken_over() {
    simulate(async || {
        let login = Login::new(&[]).await;
        pass(300).await;
        let old = login.stored();
        let (client, refresh) = (login.party.client(), old.refresh.unwrap());
        let grant = client.refresh(&refresh, login.party.now()).await.unwrap();
        let expires = Some(grant.expires);
        let token = Token { access: grant.access, refresh: grant.refresh, expires };
        assert!(login.world.file.update_token(&PROFILE.into(), &token).unwrap());
        pass(300).await;
        all_succeeded(&login.ask_together(5).await);
        assert_eq!(login.renewals(), [0; 0]);
    });
}

#[test]
fn the_token_of_a_profile_that_was_removed_is_not_renewed() {
    simulate(async || {
        let login = Login::new(&[]).await;
        pass(600).await;
        login.world.file.remove(&[PROFILE.into()]).unwrap();
        assert_eq!(answer(&login.world.ask("a").await), "Pending");
        assert_eq!(login.renewals(), [0; 0]);
    });
}
