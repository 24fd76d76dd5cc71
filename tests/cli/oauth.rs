//! A login that several processes share.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method};
use polpo_store::profiles::{Kind, ProfileFile, Stored};
use polpo_upstream::http::HttpTransport;
use polpo_upstream::oauth::{Grant, Login, OAuthClient, OAuthSettings, split_url};
use polpo_upstream::transport::{Call, SILENCE, Transport as _};
use serde_json::json;

use crate::server::{Server, scenario, tasks};
use crate::support::{Process, World};

const PROFILE: &str = "anthropic:a@example.com";

/// Whoever signs in at a simulator.
struct Person {
    settings: OAuthSettings,
    transport: Arc<HttpTransport>,
}

impl Person {
    fn new(server: &Server) -> Self {
        let url = |path: &str| format!("{}{path}", server.base_url());
        let settings = OAuthSettings {
            client_id: "polpo-simulator".to_owned(),
            authorize_url: url("/oauth/authorize?login_hint=a@example.com"),
            token_url: url("/v1/oauth/token"),
            redirect_uri: "http://localhost:4711/callback".to_owned(),
            scopes: vec!["user:profile".to_owned(), "user:inference".to_owned()],
            token_headers: vec![],
            call_headers: vec![("anthropic-beta".to_owned(), "oauth-2025-04-20".to_owned())],
            profile_url: None,
        };
        Self { settings, transport: Arc::new(HttpTransport::new(&server.base_url()).unwrap()) }
    }

    fn client(&self) -> OAuthClient {
        OAuthClient::new(self.settings.clone(), self.transport.clone())
    }

    async fn sign_in(&self) -> Grant {
        let login = Login::begin(&self.settings);
        let (_, path) = split_url(&login.url(&self.settings)).unwrap();
        let (method, headers) = (Method::GET, HeaderMap::new());
        let call = Call { method, path, headers, body: Bytes::new(), silence: SILENCE };
        let reply = self.transport.send(call).await.unwrap();
        let code = login.code(reply.headers["location"].to_str().unwrap()).unwrap();
        self.client().exchange(&login, &code, SystemTime::now().into()).await.unwrap()
    }

    fn config(&self, server: &Server) -> String {
        let OAuthSettings { client_id, authorize_url, token_url, redirect_uri, .. } =
            &self.settings;
        let oauth = json!({
            "clientId": client_id, "authorizeUrl": authorize_url, "tokenUrl": token_url,
            "redirectUri": redirect_uri, "scopes": self.settings.scopes,
            "callHeaders": {"anthropic-beta": "oauth-2025-04-20"},
        });
        let provider = json!({"baseUrl": server.base_url(), "oauth": oauth});
        json!({"providers": {"anthropic": provider}}).to_string()
    }
}

fn now<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

fn stored(grant: Grant) -> Stored {
    Stored {
        id: PROFILE.into(),
        provider: "anthropic".into(),
        kind: Kind::OAuth,
        access: grant.access,
        refresh: grant.refresh,
        expires: Some(grant.expires),
        email: grant.email,
        created_at: SystemTime::now().into(),
    }
}

/// Two processes work on so many tasks each, one second a call and fifty at once, with one login
/// whose tokens hold for two seconds and whose refresh tokens work once. Says how many tokens were
/// renewed, and how many taken over from the other process.
fn share(count: usize) -> (usize, usize) {
    let world = World::new();
    let changes = json!({"latency": {"medianSeconds": 1.0}, "oauth": {"accessTokenSeconds": 2}});
    let server = Server::start(&world, &scenario(changes));
    let person = Person::new(&server);
    let file = ProfileFile::new(&world.path("state"));
    let grant = now(person.sign_in());
    file.put(&stored(grant), SystemTime::now().into()).unwrap();
    world.write("polpo.json", person.config(&server));
    let mut processes = ["one.jsonl", "two.jsonl"].map(|name| {
        world.write(name, tasks(count));
        Process::start(world.polpo(&["run", name, "--concurrency", "50", "--json", "-v"]))
    });
    // It may take longer than other processes of tests do.
    let patience = Instant::now() + Duration::from_secs(count as u64 / 10);
    while Instant::now() < patience && processes.iter_mut().any(Process::is_running) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let ran = processes.map(Process::end);
    let said = |words: &str| ran.iter().map(|ran| ran.stderr.matches(words).count()).sum::<usize>();
    let (renewed, taken_over) = (said("token renewed"), said("token taken over"));
    for ran in ran {
        let ran = ran.ended(0);
        assert_eq!(ran.json()["succeeded"], count, "{ran}");
        for words in ["could not be renewed", "sk-ant-oat", "sk-ant-ort"] {
            assert!(!ran.stderr.contains(words), "{ran}");
        }
    }
    // The second use of a refresh token would have ended the login.
    let profile = file.read().unwrap().profiles.remove(0);
    let refresh = profile.refresh.unwrap();
    now(person.client().refresh(&refresh, SystemTime::now().into())).unwrap();
    (renewed, taken_over)
}

#[test]
fn a_login_that_is_over_is_not_used_and_its_user_told_what_to_do() {
    let world = World::new();
    let file = ProfileFile::new(&world.path("state"));
    let now = SystemTime::now();
    let profile = Stored {
        id: PROFILE.into(),
        provider: "anthropic".into(),
        kind: Kind::OAuth,
        access: "sk-ant-oat01-marked".to_owned(),
        refresh: None,
        expires: Some(now.into()),
        email: None,
        created_at: now.into(),
    };
    file.put(&profile, now.into()).unwrap();
    world.write("tasks.jsonl", tasks(1));
    let run = || world.run(&["run", "tasks.jsonl"]);
    run().complained(4, &[PROFILE, "`polpo auth login anthropic`", "`polpo auth add anthropic`"]);
    let renewable = Stored { refresh: Some("sk-ant-ort01-marked".to_owned()), ..profile };
    file.put(&renewable, now.into()).unwrap();
    let ran = run().complained(4, &[PROFILE, "providers.anthropic.oauth", "ANTHROPIC_API_KEY"]);
    assert!(!ran.stderr.contains("marked"), "{ran}");
}

#[test]
fn two_processes_share_a_login_and_use_no_refresh_token_twice() {
    let (renewed, taken_over) = share(350);
    assert!(renewed >= 2 && taken_over >= 1, "{renewed}, {taken_over}");
}

#[test]
#[ignore = "a minute"]
fn two_processes_share_a_login_for_a_minute() {
    let (renewed, taken_over) = share(2500);
    println!("{renewed} renewals, {taken_over} taken over");
    assert!(renewed >= 20 && taken_over >= 20);
}
