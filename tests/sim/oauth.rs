//! Signing in at the simulator: from the link to a call, a renewal and the end of a login.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, Method};
use polpo_policy::limits::Timestamp;
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_upstream::credential::Credential;
use polpo_upstream::oauth::{
    Grant, Login, OAuthClient, OAuthError, OAuthSettings, PasteError, split_url,
};
use polpo_upstream::transport::{Call, SILENCE, Transport as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// A simulator without limits, whose tokens hold for ten minutes, and a client that knows it.
pub(crate) struct Party {
    pub(crate) transport: InMemory,
    pub(crate) settings: OAuthSettings,
    start: Instant,
}

impl Party {
    pub(crate) fn new() -> Self {
        let scenario = json!({
            "limits": {"requestsPerMinute": null, "inputTokensPerMinute": null, "outputTokensPerMinute": null},
            "latency": {"medianSeconds": 0},
            "faults": {"overloadedRate": 0},
            "oauth": {"accessTokenSeconds": 600},
        });
        let scenario = Scenario::from_json(&scenario.to_string(), "scenario.json").unwrap();
        let url = |path: &str| format!("http://127.0.0.1:8080{path}");
        Self {
            transport: InMemory::new(Simulator::new(scenario)),
            settings: OAuthSettings {
                client_id: "polpo-simulator".to_owned(),
                authorize_url: url("/oauth/authorize?login_hint=b@example.com"),
                token_url: url("/v1/oauth/token"),
                redirect_uri: url("/oauth/code/callback"),
                scopes: vec!["user:profile".to_owned(), "user:inference".to_owned()],
                token_headers: vec![],
                call_headers: vec![("anthropic-beta".to_owned(), "oauth-2025-04-20".to_owned())],
                profile_url: Some(url("/api/oauth/profile")),
            },
            start: Instant::now(),
        }
    }

    pub(crate) fn client(&self) -> OAuthClient {
        OAuthClient::new(self.settings.clone(), Arc::new(self.transport.clone()))
    }

    /// The time since the epoch of this test.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.start.elapsed()
    }

    async fn send(&self, call: Call) -> (u16, HeaderMap, String) {
        let reply = self.transport.send(call).await.unwrap();
        let body: Vec<Bytes> = reply.body.try_collect().await.unwrap();
        (reply.status.as_u16(), reply.headers, String::from_utf8(body.concat()).unwrap())
    }

    async fn open(&self, link: &str) -> (u16, HeaderMap, String) {
        let (_, path) = split_url(link).unwrap();
        self.send(Call {
            method: Method::GET,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            silence: SILENCE,
        })
        .await
    }

    /// What the page shows to copy.
    async fn copied(&self, login: &Login) -> String {
        let (status, _, page) = self.open(&login.url(&self.settings)).await;
        assert_eq!(status, 200, "{page}");
        let (_, rest) = page.split_once("data-email=\"b@example.com\">").unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    }

    pub(crate) async fn sign_in(&self) -> Grant {
        let login = Login::begin(&self.settings);
        let code = login.code(&self.copied(&login).await).unwrap();
        self.client().exchange(&login, &code, self.now()).await.unwrap()
    }

    /// Posts JSON, and tells the status and the message of an error.
    pub(crate) async fn post(
        &self,
        path: &str,
        credential: Option<&Credential>,
        body: &Value,
    ) -> (u16, String) {
        let headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
        let headers =
            headers.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let call = Call {
            method: Method::POST,
            path: path.to_owned(),
            headers: HeaderMap::from_iter(headers),
            body: body.to_string().into(),
            silence: SILENCE,
        };
        let call = match credential {
            Some(credential) => credential.sign(call),
            None => call,
        };
        let (status, _, answer) = self.send(call).await;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    }

    async fn ask(&self, grant: &Grant) -> (u16, String) {
        let credential = Credential::oauth(&grant.access, &self.settings.call_headers).unwrap();
        let body = json!({"model": "claude-opus-4-6", "max_tokens": 64,
                          "messages": [{"role": "user", "content": "Hello"}]});
        self.post("/v1/messages", Some(&credential), &body).await
    }

    async fn refresh(&self, grant: &Grant) -> Result<Grant, OAuthError> {
        self.client().refresh(grant.refresh.as_deref().unwrap(), self.now()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_was_copied_brings_a_token_that_can_call() {
    let party = Party::new();
    let grant = party.sign_in().await;
    assert_eq!(grant.email.as_deref(), Some("b@example.com"));
    assert!(grant.account.is_some() && grant.organization.is_some());
    assert_eq!(grant.expires, party.now() + Duration::from_secs(540), "a tenth before the end");
    assert_eq!(party.ask(&grant).await, (200, String::new()));
    let email = party.client().email(&grant.access).await.unwrap();
    assert_eq!(email.as_deref(), Some("b@example.com"));
}

#[tokio::test(start_paused = true)]
async fn the_address_that_a_browser_is_sent_to_is_as_good_as_the_code() {
    let mut party = Party::new();
    party.settings.redirect_uri = "http://localhost:4711/callback".to_owned();
    let login = Login::begin(&party.settings);
    let (status, headers, _) = party.open(&login.url(&party.settings)).await;
    assert_eq!(status, 302);
    let code = login.code(headers["location"].to_str().unwrap()).unwrap();
    let grant = party.client().exchange(&login, &code, party.now()).await.unwrap();
    assert_eq!(party.ask(&grant).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_code_is_good_for_its_own_login_alone_and_once() {
    let party = Party::new();
    let [login, other] = [Login::begin(&party.settings), Login::begin(&party.settings)];
    let shown = party.copied(&login).await;
    assert_eq!(other.code(&shown), Err(PasteError::WrongState));

    let (bare, _) = shown.split_once('#').unwrap();
    let code = other.code(bare).unwrap();
    let refused = party.client().exchange(&other, &code, party.now()).await.unwrap_err();
    assert!(refused.to_string().contains("invalid_grant: "), "{refused}");

    let code = login.code(bare).unwrap();
    let grant = party.client().exchange(&login, &code, party.now()).await.unwrap();
    assert_eq!(party.ask(&grant).await.0, 200);
    let again = party.client().exchange(&login, &code, party.now()).await.unwrap_err();
    assert!(again.is_final(), "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends_and_the_old_refresh_token_ends_the_login() {
    let party = Party::new();
    let first = party.sign_in().await;
    sleep(Duration::from_secs(540)).await;
    assert!(party.now() >= first.expires);
    assert_eq!(party.ask(&first).await.0, 200, "calls on their way find it valid");
    sleep(Duration::from_secs(61)).await;
    let (status, message) = party.ask(&first).await;
    assert_eq!(status, 401);
    assert!(message.contains("expired"), "{message}");

    let second = party.refresh(&first).await.unwrap();
    assert_eq!(second.email, first.email);
    assert!(second.refresh.is_some() && second.refresh != first.refresh);
    assert_eq!(second.expires, party.now() + Duration::from_secs(540));
    assert_eq!(party.ask(&second).await.0, 200);

    let reused = party.refresh(&first).await.unwrap_err();
    assert!(reused.is_final(), "{reused}");
    assert_eq!(
        reused.to_string(),
        "the login server refused: invalid_grant: Refresh token not found or invalid"
    );
    assert_eq!(party.ask(&second).await.0, 401, "two who use one login are taken for a thief");
    assert!(party.refresh(&second).await.unwrap_err().is_final());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_revoked_is_over_and_an_access_token_that_expired_is_not() {
    let party = Party::new();
    let first = party.sign_in().await;
    let user = json!({"email": "b@example.com"});
    assert_eq!(party.post("/_sim/oauth/expire", None, &user).await.0, 204);
    assert_eq!(party.ask(&first).await.0, 401);
    let second = party.refresh(&first).await.unwrap();
    assert_eq!(party.ask(&second).await.0, 200);
    assert_eq!(party.post("/_sim/oauth/revoke", None, &user).await.0, 204);
    assert!(party.refresh(&second).await.unwrap_err().is_final());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_server_says_when_to_come_again_and_nothing_is_used_up() {
    let party = Party::new();
    let grant = party.sign_in().await;
    let throttle = json!({"seconds": 30});
    assert_eq!(party.post("/_sim/oauth/throttle", None, &throttle).await.0, 204);
    let until = party.now() + Duration::from_secs(30);
    let limited = party.refresh(&grant).await.unwrap_err();
    assert_eq!((limited.is_final(), limited), (false, OAuthError::Limited { until: Some(until) }));
    sleep(Duration::from_secs(30)).await;
    assert!(party.refresh(&grant).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_the_server_does_not_know_is_refused_for_good() {
    let mut party = Party::new();
    let grant = party.sign_in().await;
    party.settings.client_id = "another".to_owned();
    let refused = party.refresh(&grant).await.unwrap_err();
    assert!(refused.is_final() && refused.to_string().contains("invalid_client"), "{refused}");
}
