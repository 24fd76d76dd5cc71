//! What the tests of the sign-in share, and those of its tokens in time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::grants::{Asked, CODE_LIFETIME, Proof};
use super::*;
use crate::clock::Clock;
use crate::draw::sha256;

pub(super) const VERIFIER: &str = "a-verifier-of-43-characters-as-clients-draw";
pub(super) const STATE: &str = "st4te";

pub(super) fn redirect() -> String {
    "http://127.0.0.1:8080/oauth/code/callback".to_owned()
}

pub(super) fn oauth(users: usize) -> OAuth {
    oauth_with(Config::default(), users)
}

pub(super) fn oauth_with(config: Config, users: usize) -> OAuth {
    let user = |account| User {
        account,
        email: format!("user-{account}@example.com"),
        account_uuid: format!("00000000-0000-4000-8000-{account:012}"),
        organization_uuid: format!("00000000-0000-4000-9000-{account:012}"),
        organization_name: format!("Organization {account}"),
    };
    OAuth::new(config, 7, (0..users).map(user).collect())
}

/// The query of a valid link, with something laid over it.
pub(super) fn link(over: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()));
    let redirect = redirect();
    let valid = [
        ("code", "true"),
        ("client_id", "polpo-simulator"),
        ("response_type", "code"),
        ("redirect_uri", redirect.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", STATE),
    ];
    let kept = valid.into_iter().filter(|(name, _)| !over.iter().any(|(other, _)| other == name));
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept.chain(over.iter().copied()))
        .finish()
}

/// Every `code#state` on a page.
pub(super) fn shown_codes(html: &str) -> Vec<&str> {
    let marked = html.split("<code class=\"code\"").skip(1);
    marked.map(|rest| rest.split_once('>').unwrap().1.split_once('<').unwrap().0).collect()
}

/// The code that the page shows for a user.
pub(super) fn code_for(oauth: &mut OAuth, clock: &Clock, email: &str) -> String {
    let reply = oauth.authorize(clock, &link(&[("login_hint", email)]));
    let html = String::from_utf8(reply.body).unwrap();
    shown_codes(&html)[0].split_once('#').unwrap().0.to_owned()
}

fn signed_in(oauth: &mut OAuth, clock: &Clock) -> (String, String) {
    let code = code_for(oauth, clock, "user-0@example.com");
    let proof = Proof { redirect_uri: &redirect(), verifier: VERIFIER, state: STATE };
    let issued = oauth.grants.take_code(clock.now(), &code, proof).unwrap();
    (issued.access_token, issued.refresh_token.unwrap())
}

fn refusal(oauth: &OAuth, now: SimTime, token: &str, has_beta: bool) -> (u16, String) {
    let problem = oauth.resolve(now, token, has_beta, Need::Inference).unwrap_err();
    (problem.status().as_u16(), problem.message)
}

#[test]
fn a_token_is_refused_for_what_is_wrong_with_it() {
    let (mut oauth, clock) = (oauth(2), Clock::new(1000));
    let (access, _) = signed_in(&mut oauth, &clock);
    let now = clock.now();
    let not_supported = "OAuth authentication is currently not supported.";
    assert_eq!(refusal(&oauth, now, &access, false), (401, not_supported.to_owned()));
    let unknown = refusal(&oauth, now, "sk-ant-oat01-unknown", true);
    assert_eq!(unknown, (401, "Invalid authentication credentials".to_owned()));

    oauth.grants.revoke_user(1);
    assert_eq!(oauth.resolve(now, &access, true, Need::Profile).unwrap().account, 0);
    oauth.grants.expire_user(now, 0);
    assert!(refusal(&oauth, now, &access, true).1.starts_with("OAuth token has expired."));
    oauth.grants.revoke_user(0);
    assert!(refusal(&oauth, now, &access, true).1.starts_with("OAuth token has been revoked."));
}

#[test]
fn a_scope_that_is_missing_is_named_for_the_user_to_see() {
    let (mut oauth, clock) = (oauth(1), Clock::new(1000));
    let (_, refresh) = signed_in(&mut oauth, &clock);
    let narrow = oauth.grants.renew(clock.now(), &refresh, "user:inference".into()).unwrap();
    let problem =
        oauth.resolve(clock.now(), &narrow.access_token, true, Need::Profile).unwrap_err();
    assert_eq!(problem.status().as_u16(), 403);
    assert_eq!(problem.message, "OAuth token does not meet scope requirement user:profile");
    let body: Value = serde_json::from_slice(&problem.body("req_1")).unwrap();
    assert_eq!(body["error"]["details"]["error_visibility"], "user_facing");
}

#[test]
fn codes_and_tokens_hold_for_their_lifetime_and_no_longer() {
    let mut oauth = oauth(1);
    let asked = Asked {
        redirect_uri: redirect(),
        challenge: URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes())),
        state: STATE.to_owned(),
        scope: "user:inference".to_owned(),
    };
    let proof = Proof { redirect_uri: &redirect(), verifier: VERIFIER, state: STATE };
    let now = SimTime(7);
    let last = |lifetime: Duration| SimTime(now.after(lifetime).0 - 1);
    let terms = Config::default().terms;

    let code = oauth.grants.issue_code(now, &asked, 0);
    assert!(oauth.grants.take_code(now.after(CODE_LIFETIME), &code, proof).is_err());
    assert!(oauth.grants.take_code(last(CODE_LIFETIME), &code, proof).is_ok());

    let code = oauth.grants.issue_code(now, &asked, 0);
    let issued = oauth.grants.take_code(now, &code, proof).unwrap();
    let access = issued.access_token;
    assert!(oauth.resolve(last(terms.access_lifetime), &access, true, Need::Inference).is_ok());
    let late = now.after(terms.access_lifetime);
    assert!(refusal(&oauth, late, &access, true).1.contains("expired"));
    let refresh = issued.refresh_token.unwrap();
    assert!(oauth.grants.renewable(last(terms.refresh_lifetime), &refresh).is_some());
    assert!(oauth.grants.renewable(now.after(terms.refresh_lifetime), &refresh).is_none());
}

#[test]
fn secrets_are_the_same_in_each_run_and_in_no_debug_output() {
    let signed_in = || {
        let (mut oauth, clock) = (oauth(1), Clock::new(1000));
        let tokens = signed_in(&mut oauth, &clock);
        (tokens, format!("{oauth:?}"))
    };
    let ((access, refresh), debug) = signed_in();
    assert_eq!((access.clone(), refresh.clone()), signed_in().0);
    assert!(!debug.contains(&access[13..]) && !debug.contains(&refresh[13..]));
}

#[test]
fn the_beta_is_found_among_others_and_over_several_lines() {
    let headers = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("anthropic-beta", value.parse().unwrap());
        }
        headers
    };
    assert!(has_beta(&headers(&["a,oauth-2025-04-20"])));
    assert!(has_beta(&headers(&["a", "b, oauth-2025-04-20 ,c"])));
    assert!(!has_beta(&headers(&["oauth-2025-04-2"])) && !has_beta(&headers(&[])));
}

#[test]
fn what_revokes_one_login_leaves_the_others_alone() {
    let (mut oauth, clock) = (oauth(1), Clock::new(1000));
    let now = clock.now();
    let code = code_for(&mut oauth, &clock, "user-0@example.com");
    let workload = oauth.grants.issue_to_workload(now, 0);
    let proof = Proof { redirect_uri: &redirect(), verifier: VERIFIER, state: STATE };
    let issued = oauth.grants.take_code(now, &code, proof).unwrap();
    let (another, _) = signed_in(&mut oauth, &clock);
    assert!(oauth.grants.take_code(now, &code, proof).is_err());
    assert!(refusal(&oauth, now, &issued.access_token, true).1.contains("revoked"));
    for token in [workload, another] {
        assert!(oauth.resolve(now, &token, true, Need::Inference).is_ok());
    }
}
