//! The client against a server that answers as it is told.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Mutex;

use futures_util::stream;
use http::StatusCode;

use super::*;
use crate::transport::{Reply, Sending};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn settings() -> OAuthSettings {
    OAuthSettings {
        client_id: "a client".to_owned(),
        authorize_url: "https://a.example/oauth/authorize".to_owned(),
        token_url: "https://a.example/v1/oauth/token?tenant=1".to_owned(),
        redirect_uri: "https://a.example/oauth/code/callback".to_owned(),
        scopes: vec!["user:profile".to_owned(), "user:inference".to_owned()],
        token_headers: vec![("x-tenant".to_owned(), "marked".to_owned())],
        call_headers: vec![("anthropic-beta".to_owned(), "marked".to_owned())],
        profile_url: Some("https://b.example/profile".to_owned()),
    }
}

/// How a server answers.
enum Act {
    Say(u16, String),
    /// Sends a byte a second without an end.
    Drip,
    Hang,
    Fail(TransportError),
}

#[derive(Default)]
struct Server {
    acts: Mutex<VecDeque<Act>>,
    calls: Mutex<Vec<Call>>,
}

impl Server {
    fn new(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.into_iter().collect()), ..Self::default() })
    }

    fn saying(status: u16, body: &Value) -> Arc<Self> {
        Self::new([Act::Say(status, body.to_string())])
    }

    fn called(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

impl Transport for Server {
    fn send(&self, call: Call) -> Sending {
        self.calls.lock().unwrap().push(call);
        let act = self.acts.lock().unwrap().pop_front().expect("a call too many");
        let reply = |status, body| {
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Reply { status, headers: HeaderMap::new(), body })
        };
        let piece = |bytes: &[u8]| Ok(Bytes::copy_from_slice(bytes));
        Box::pin(async move {
            match act {
                Act::Say(status, body) => {
                    let chunks: Vec<_> = body.into_bytes().chunks(1000).map(piece).collect();
                    reply(status, Box::pin(stream::iter(chunks)))
                }
                Act::Drip => {
                    let drops = stream::unfold((), |()| async {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        Some((Ok(Bytes::from_static(b" ")), ()))
                    });
                    reply(200, Box::pin(drops))
                }
                Act::Hang => pending().await,
                Act::Fail(error) => Err(error),
            }
        })
    }
}

fn tokens() -> Value {
    json!({"access_token": "sk-ant-oat01-marked", "refresh_token": "sk-ant-ort01-marked",
           "expires_in": 600})
}

#[tokio::test]
async fn a_code_is_taken_to_the_token_url_with_all_that_belongs_to_its_login() {
    let server = Server::saying(200, &tokens());
    let client = OAuthClient::new(settings(), server.clone());
    let login = Login::begin(&settings());
    let code = login.code("c0de").unwrap();
    let grant = client.exchange(&login, &code, NOW).await.unwrap();
    assert_eq!(grant.expires, NOW + Duration::from_secs(540));

    let [call] = server.called().try_into().unwrap();
    assert_eq!((call.method, call.path.as_str()), (Method::POST, "/v1/oauth/token?tenant=1"));
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["x-tenant"], "marked");
    assert!(!call.headers.contains_key("anthropic-beta"));
    let expected = json!({
        "grant_type": "authorization_code", "client_id": "a client", "code": "c0de",
        "state": login.state, "redirect_uri": "https://a.example/oauth/code/callback",
        "code_verifier": login.verifier,
    });
    assert_eq!(serde_json::from_slice::<Value>(&call.body).unwrap(), expected);
}

#[tokio::test]
async fn a_refresh_token_is_all_that_a_refresh_sends() {
    let server = Server::saying(200, &json!({"access_token": "a"}));
    let client = OAuthClient::new(settings(), server.clone());
    let grant = client.refresh("sk-ant-ort01-marked", NOW).await.unwrap();
    assert_eq!((grant.access.as_str(), grant.refresh), ("a", None));
    let [call] = server.called().try_into().unwrap();
    let expected = json!({"grant_type": "refresh_token", "client_id": "a client",
                          "refresh_token": "sk-ant-ort01-marked"});
    assert_eq!(serde_json::from_slice::<Value>(&call.body).unwrap(), expected);
}

#[tokio::test]
async fn an_e_mail_address_is_asked_for_at_the_origin_of_the_profile_url() {
    let (server, profile) =
        (Server::new([]), Server::saying(200, &json!({"account": {"email": "a@example.com"}})));
    let client = OAuthClient::new(settings(), server).with_profile(profile.clone());
    let email = client.email("sk-ant-oat01-x").await.unwrap();
    assert_eq!(email.as_deref(), Some("a@example.com"));
    let [call] = profile.called().try_into().unwrap();
    assert_eq!((call.method, call.path.as_str()), (Method::GET, "/profile"));
    assert_eq!(call.headers["authorization"], "Bearer sk-ant-oat01-x");
    assert_eq!(call.headers["anthropic-beta"], "marked");
}

#[tokio::test]
async fn without_a_profile_url_or_an_address_there_is_no_e_mail() {
    let without = OAuthSettings { profile_url: None, ..settings() };
    assert_eq!(OAuthClient::new(without, Server::new([])).email("a").await, Ok(None));
    let acts = [Act::Say(200, "{}".to_owned()), Act::Say(200, "<html>".to_owned())];
    let client = OAuthClient::new(settings(), Server::new(acts));
    assert_eq!(client.email("a").await, Ok(None));
    assert_eq!(client.email("a").await, Err(OAuthError::Faulty { status: 200 }));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_or_does_not_end_is_given_up() {
    let broken = TransportError::Broken;
    for (act, expected) in [
        (Act::Hang, OAuthError::Unreachable(TransportError::Idle)),
        (Act::Drip, OAuthError::Unreachable(TransportError::Idle)),
        (Act::Fail(broken), OAuthError::Unreachable(broken)),
    ] {
        let client = OAuthClient::new(settings(), Server::new([act]));
        let error = client.refresh("r", NOW).await.unwrap_err();
        assert_eq!((error.is_final(), error), (false, expected));
    }
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_tokens_can_reach() {
    for (length, expected) in
        [(MOST_BYTES, Ok(())), (MOST_BYTES + 1, Err(OAuthError::Faulty { status: 200 }))]
    {
        let tokens = tokens().to_string();
        let answer = tokens.clone() + &" ".repeat(length - tokens.len());
        let client = OAuthClient::new(settings(), Server::new([Act::Say(200, answer)]));
        assert_eq!(client.refresh("r", NOW).await.map(|_| ()), expected);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_sent_are_told_before_anything_is_sent() {
    let client = |settings| OAuthClient::new(settings, Server::new([]));
    let url = OAuthSettings { token_url: "a.example".to_owned(), ..settings() };
    assert_eq!(client(url).refresh("r", NOW).await, Err(OAuthError::Url(InvalidUrl)));
    let header = ("host".to_owned(), "marked".to_owned());
    let header = OAuthSettings { token_headers: vec![header], ..settings() };
    let error = client(header).refresh("r", NOW).await.unwrap_err();
    assert!(matches!(error, OAuthError::Header(_)) && !format!("{error:?}").contains("marked"));
    let error = client(settings()).email("a\nmarked").await.unwrap_err();
    assert!(matches!(error, OAuthError::Header(_)) && !format!("{error:?}").contains("marked"));
}

#[test]
fn settings_are_printed_without_the_values_of_their_headers() {
    let printed = format!("{:?}", settings());
    assert!(printed.contains("x-tenant") && !printed.contains("marked"), "{printed}");
}

#[tokio::test]
async fn what_a_refusal_quotes_of_the_request_is_not_told() {
    let secret = "a-header-of-our-own";
    let token_headers = vec![("x-gate".to_owned(), secret.to_owned())];
    let settings = OAuthSettings { token_headers, ..settings() };
    let login = Login::begin(&settings);
    let code = login.code("a-short-code").unwrap();
    let words = format!("what is {secret} a-short-code {} client?", login.verifier);
    let refusal = json!({"error": "invalid_request", "error_description": words});
    let client = OAuthClient::new(settings, Server::saying(400, &refusal));
    let error = client.exchange(&login, &code, NOW).await.unwrap_err();
    let told = "invalid_request: what is [REDACTED] [REDACTED] [REDACTED] client?";
    assert_eq!(error.to_string(), format!("the login server refused: {told}"));
}
