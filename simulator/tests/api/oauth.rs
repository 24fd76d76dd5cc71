//! Signing in, and what tokens are good for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use polpo_simulator::Simulator;
use polpo_upstream::transport::Call;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use crate::client::{Heard, call, error_of, request, send, simulator};
use crate::socket::Served;

const VERIFIER: &str = "a-verifier-of-43-characters-as-clients-draw";
const REDIRECT: &str = "http://127.0.0.1:8080/oauth/code/callback";

pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Call {
    Call { method: Method::GET, path: path.to_owned(), ..call(headers, "") }
}

fn to(path: &str, body: &Value) -> Call {
    let headers = [("content-type", "application/json")];
    Call { path: path.to_owned(), ..call(&headers, body.to_string()) }
}

fn link(redirect: &str, email: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("code", "true"),
            ("client_id", "polpo-simulator"),
            ("response_type", "code"),
            ("redirect_uri", redirect),
            ("scope", "user:profile user:inference"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "st4te"),
            ("login_hint", email),
        ])
        .finish();
    format!("/oauth/authorize?{query}")
}

/// What a person copies from the page.
fn copied(page: &Heard) -> (String, String) {
    let html = page.text();
    let line = html.lines().find(|line| line.contains("class=\"code\"")).unwrap();
    let shown = line.split_once('>').unwrap().1.split_once('<').unwrap().0;
    let (code, state) = shown.split_once('#').unwrap();
    (code.to_owned(), state.to_owned())
}

async fn exchange(simulator: &Simulator, fields: Value) -> Heard {
    let mut body = json!({"client_id": "polpo-simulator"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    send(simulator, to("/v1/oauth/token", &body)).await
}

/// Signs in by hand, as the user of the account `a`.
pub(crate) async fn sign_in(simulator: &Simulator) -> Value {
    let page = send(simulator, get(&link(REDIRECT, "a@example.com"), &[])).await;
    assert_eq!(page.status, 200);
    let (code, state) = copied(&page);
    let heard = exchange(
        simulator,
        json!({"grant_type": "authorization_code", "code": code, "state": state,
               "redirect_uri": REDIRECT, "code_verifier": VERIFIER}),
    )
    .await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    heard.json()
}

async fn refresh(simulator: &Simulator, tokens: &Value) -> Heard {
    let token = &tokens["refresh_token"];
    exchange(simulator, json!({"grant_type": "refresh_token", "refresh_token": token})).await
}

fn bearing(tokens: &Value) -> String {
    format!("Bearer {}", tokens["access_token"].as_str().unwrap())
}

async fn ask(simulator: &Simulator, tokens: &Value, betas: &str) -> Heard {
    let headers = [
        ("authorization", bearing(tokens)),
        ("anthropic-version", "2026-10-21".to_owned()),
        ("anthropic-beta", betas.to_owned()),
    ];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    send(simulator, call(&headers, request(json!({})).to_string())).await
}

const BETA: &str = "oauth-2025-04-20";

#[tokio::test(start_paused = true)]
async fn whoever_signed_in_can_call_and_is_charged() {
    let simulator = simulator(json!({}));
    let tokens = sign_in(&simulator).await;
    let heard = ask(&simulator, &tokens, &format!("another-beta,{BETA}")).await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    let organization = tokens["organization"]["uuid"].as_str();
    assert_eq!(heard.header("anthropic-organization-id"), organization);
    assert_eq!(simulator.books().accounts["a"].served, 1);

    let bearer = bearing(&tokens);
    let headers = [("authorization", bearer.as_str()), ("anthropic-beta", BETA)];
    let profile = send(&simulator, get("/api/oauth/profile", &headers)).await;
    assert_eq!(profile.json()["account"]["email"], "a@example.com");
    assert_eq!(profile.json()["organization"]["uuid"].as_str(), organization);
    assert_eq!(error_of(&send(&simulator, get("/api/oauth/profile", &headers[1..])).await).0, 401);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_the_beta_or_an_unknown_one_is_refused_and_counted() {
    let simulator = simulator(json!({"acceptAnyKey": true}));
    let tokens = sign_in(&simulator).await;
    let refused = error_of(&ask(&simulator, &tokens, "another-beta").await);
    assert_eq!((refused.0, refused.1.as_str()), (401, "authentication_error"));
    assert_eq!(refused.2, "OAuth authentication is currently not supported.");
    let unknown = json!({"access_token": "sk-ant-oat01-of-nobody"});
    let refused = error_of(&ask(&simulator, &unknown, BETA).await);
    assert_eq!((refused.0, refused.2.as_str()), (401, "Invalid authentication credentials"));
    assert_eq!(simulator.books().unauthenticated, 2);
}

#[tokio::test(start_paused = true)]
async fn an_access_token_is_no_key_even_where_any_key_is_taken() {
    for more in [json!({}), json!({"acceptAnyKey": true})] {
        let simulator = simulator(more);
        let tokens = sign_in(&simulator).await;
        let token = tokens["access_token"].as_str().unwrap();
        for beta in [BETA, "another-beta"] {
            let headers = [
                ("x-api-key", token),
                ("anthropic-version", "2023-06-01"),
                ("anthropic-beta", beta),
            ];
            let refused =
                error_of(&send(&simulator, call(&headers, request(json!({})).to_string())).await);
            assert_eq!((refused.0, refused.2.as_str()), (401, "invalid x-api-key"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_workload_gets_the_token_of_the_account_that_the_scenario_names() {
    let simulator = simulator(json!({"oauth": {"federationRules": {"fdrl_1": "b"}}}));
    let organization = simulator.scenario().accounts()[1].organization_id.clone();
    let showing = |rule: &str| {
        json!({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c",
               "federation_rule_id": rule, "organization_id": organization,
               "service_account_id": "svac_1"})
    };
    let tokens = exchange(&simulator, showing("fdrl_1")).await.json();
    assert_eq!(ask(&simulator, &tokens, BETA).await.status, 200);
    assert_eq!(simulator.books().accounts["b"].served, 1);
    assert_eq!(exchange(&simulator, showing("fdrl_2")).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn tokens_expire_in_scaled_time_and_are_renewed() {
    let simulator = simulator(json!({"timeScale": 3600}));
    let tokens = sign_in(&simulator).await;
    assert_eq!(tokens["expires_in"], 8, "8 h, 3600 times as fast");
    sleep(Duration::from_millis(7_999)).await;
    assert_eq!(ask(&simulator, &tokens, BETA).await.status, 200);
    sleep(Duration::from_millis(2)).await;
    let (status, _, message) = error_of(&ask(&simulator, &tokens, BETA).await);
    assert_eq!(status, 401);
    assert!(message.starts_with("OAuth token has expired."), "{message}");

    let renewed = refresh(&simulator, &tokens).await.json();
    assert_eq!(ask(&simulator, &renewed, BETA).await.status, 200);
    let again = refresh(&simulator, &tokens).await;
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(ask(&simulator, &renewed, BETA).await.status, 401, "the login is revoked");
}

#[tokio::test(start_paused = true)]
async fn tests_can_expire_and_revoke_what_a_user_holds() {
    let simulator = simulator(json!({}));
    let tokens = sign_in(&simulator).await;
    let hook = async |name: &str, body: Value| {
        send(&simulator, to(&format!("/_sim/oauth/{name}"), &body)).await
    };
    assert_eq!(hook("expire", json!({"email": "a@example.com"})).await.status, 204);
    assert!(error_of(&ask(&simulator, &tokens, BETA).await).2.contains("expired"));
    let tokens = refresh(&simulator, &tokens).await.json();
    assert_eq!(ask(&simulator, &tokens, BETA).await.status, 200);

    assert_eq!(hook("revoke", json!({"email": "a@example.com"})).await.status, 204);
    assert!(error_of(&ask(&simulator, &tokens, BETA).await).2.contains("revoked"));
    assert_eq!(refresh(&simulator, &tokens).await.status, 400);

    assert_eq!(hook("revoke", json!({"email": "z@example.com"})).await.status, 404);
    assert_eq!(hook("expire", json!({"mail": "a@example.com"})).await.status, 400);
}

#[tokio::test]
async fn who_asks_for_what_is_not_there_is_told_what_is() {
    let simulator = simulator(json!({}));
    let ask = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        send(&simulator, Call { method, ..to(path, &json!({})) }).await
    };
    let (status, _, message) = error_of(&ask("GET", "/_sim/nothing").await);
    assert_eq!(status, 404);
    let (_, paths) = message.strip_suffix('.').unwrap().split_once("there are ").unwrap();
    assert_eq!(paths.matches("/_sim/oauth/").count(), 3, "{paths}");
    for listed in paths.split(", ") {
        let (method, path) = listed.split_once(' ').unwrap();
        assert_ne!(ask(method, path).await.status, 404, "{listed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_token_endpoint_says_when_to_come_again() {
    let simulator = simulator(json!({}));
    let tokens = sign_in(&simulator).await;
    send(&simulator, to("/_sim/oauth/throttle", &json!({"seconds": 30}))).await;
    let refused = refresh(&simulator, &tokens).await;
    assert_eq!(error_of(&refused).0, 429);
    assert_eq!(refused.header("retry-after"), Some("30"));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(refresh(&simulator, &tokens).await.status, 200, "the refused call used nothing up");
}

#[test]
fn a_browser_gets_a_page_without_scripts_or_the_way_back_to_a_listening_client() {
    let served = Served::new(simulator(json!({})));
    let page = served.raw(&format!("GET {} HTTP/1.1", link(REDIRECT, "b@example.com")), "");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(copied(&page).1, "st4te");

    let listening = link("http://localhost:4711/callback", "b@example.com");
    let back = served.raw(&format!("GET {listening} HTTP/1.1"), "");
    assert_eq!(back.status, 302);
    let location = back.header("location").unwrap();
    assert!(location.starts_with("http://localhost:4711/callback?code="), "{location}");
    assert!(location.ends_with("&state=st4te"), "{location}");

    let wrong = served.raw("GET /oauth/authorize?response_type=code HTTP/1.1", "");
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("client_id: missing"));
}
