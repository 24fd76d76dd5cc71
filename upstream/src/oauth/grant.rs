//! What a login brings: tokens, until when they hold, and whose they are.

use std::fmt;
use std::time::Duration;

use polpo_policy::limits::Timestamp;
use serde_json::Value;

use super::error::OAuthError;

/// Tokens, and whose they are as far as the answer says.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// Signs calls.
    pub access: String,
    /// Brings the next access token. None: after a refresh, the one before goes on to work.
    pub refresh: Option<String>,
    /// When to renew the access token, some time before it ends.
    pub expires: Timestamp,
    /// The e-mail address of the account.
    pub email: Option<String>,
    /// The id of the account.
    pub account: Option<String>,
    /// The id of the organization.
    pub organization: Option<String>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What a token holds for if the answer does not say; Anthropic's own clients assume the same.
const DEFAULT_SECONDS: f64 = 3600.0;

/// The shortest life that is believed, so that no answer makes us renew a token in a busy loop.
const SHORTEST_SECONDS: f64 = 1.0;

/// The longest life that is believed: what holds for a year is as good as what holds for more.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

/// A token is renewed before it ends, so that calls on their way still find it valid.
const MARGIN_SECONDS: f64 = 300.0;

/// The largest part of a token's life that the margin takes.
const MARGIN_SHARE: f64 = 0.1;

/// Characters of an e-mail address or id; an address has at most 254.
const LONGEST_NAME: usize = 254;

impl Grant {
    /// Reads the answer to a request that was sent at `now`.
    ///
    /// What is not needed is read if it can be: a refresh token that came and was not kept would
    /// end the login.
    pub(super) fn from_answer(
        status: u16,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Self, OAuthError> {
        let answer: Value =
            serde_json::from_slice(body).map_err(|_| OAuthError::Faulty { status })?;
        let access = token(&answer["access_token"]).ok_or(OAuthError::Faulty { status })?;
        let kind = &answer["token_type"];
        if !kind.is_null() && !kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
        {
            return Err(OAuthError::NotBearer);
        }
        Ok(Self {
            access,
            refresh: token(&answer["refresh_token"]),
            expires: now + lifetime(&answer["expires_in"]),
            email: email(&answer),
            account: name(&answer["account"]["uuid"]),
            organization: name(&answer["organization"]["uuid"]),
        })
    }
}

/// The e-mail address in the answer to a token request or to one for a profile, or in the claims
/// of OpenID Connect.
pub(super) fn email(answer: &Value) -> Option<String> {
    let account = &answer["account"];
    [&account["email_address"], &account["email"], &answer["email"]].into_iter().find_map(name)
}

fn token(value: &Value) -> Option<String> {
    value.as_str().filter(|token| !token.is_empty()).map(str::to_owned)
}

/// A text that can be a part of a profile's name and be printed.
fn name(value: &Value) -> Option<String> {
    let is_name = |text: &&str| {
        (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    value.as_str().filter(is_name).map(str::to_owned)
}

/// For how long to use a token of which the server says that it holds for so many seconds.
fn lifetime(expires_in: &Value) -> Duration {
    let said = expires_in.as_f64().or_else(|| expires_in.as_str()?.trim().parse().ok());
    let seconds = said.filter(|seconds| !seconds.is_nan()).unwrap_or(DEFAULT_SECONDS);
    let seconds = seconds.clamp(SHORTEST_SECONDS, LONGEST_SECONDS);
    Duration::from_secs_f64(seconds - MARGIN_SECONDS.min(seconds * MARGIN_SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn read(answer: &Value) -> Result<Grant, OAuthError> {
        Grant::from_answer(200, answer.to_string().as_bytes(), NOW)
    }

    /// For how many milliseconds a token is used.
    fn millis(expires_in: &Value) -> i64 {
        let grant = read(&json!({"access_token": "a", "expires_in": expires_in})).unwrap();
        grant.expires.timestamp_millis()
    }

    #[test]
    fn an_answer_is_read_in_full() {
        let answer = json!({
            "access_token": "sk-ant-oat01-marked", "refresh_token": "sk-ant-ort01-marked",
            "token_type": "Bearer", "expires_in": 28_800, "scope": "user:inference",
            "organization": {"uuid": "o-1", "name": "O"},
            "account": {"uuid": "a-1", "email_address": "a@example.com"},
        });
        let grant = read(&answer).unwrap();
        assert_eq!(grant.access, "sk-ant-oat01-marked");
        assert_eq!(grant.refresh.as_deref(), Some("sk-ant-ort01-marked"));
        assert_eq!(grant.expires, NOW + Duration::from_secs(28_500));
        assert_eq!(grant.email.as_deref(), Some("a@example.com"));
        assert_eq!(grant.account.as_deref(), Some("a-1"));
        assert_eq!(grant.organization.as_deref(), Some("o-1"));
        assert!(!format!("{grant:?}").contains("marked"));
    }

    #[test]
    fn what_is_not_needed_may_be_missing_or_odd() {
        let odd = json!({
            "access_token": "a", "refresh_token": "", "account": [], "organization": "o",
            "email": "two\nlines@example.com",
        });
        for answer in [odd, json!({"access_token": "a", "refresh_token": null})] {
            let grant = read(&answer).unwrap();
            assert_eq!((grant.access.as_str(), &grant.refresh, &grant.email), ("a", &None, &None));
            assert_eq!(grant.expires, NOW + Duration::from_secs(3300));
        }
    }

    #[test]
    fn what_holds_no_bearer_token_is_of_no_use() {
        for body in ["", "[]", "{}", r#"{"access_token": ""}"#, r#"{"access_token": 1}"#] {
            let error = Grant::from_answer(200, body.as_bytes(), NOW).unwrap_err();
            assert_eq!(error, OAuthError::Faulty { status: 200 }, "{body}");
        }
        for (kind, is_bearer) in [("bearer", true), ("BEARER", true), ("mac", false)] {
            let grant = read(&json!({"access_token": "a", "token_type": kind}));
            assert_eq!(grant.is_ok(), is_bearer, "{kind}");
        }
        let odd = read(&json!({"access_token": "a", "token_type": 1}));
        assert_eq!(odd, Err(OAuthError::NotBearer));
    }

    #[test]
    fn a_token_is_renewed_five_minutes_or_a_tenth_of_its_life_before_it_ends() {
        for (expires_in, expected) in [
            (json!(28_800), 28_500_000),
            (json!(3_001), 2_701_000),
            (json!(600), 540_000),
            (json!(8), 7_200),
            (json!("600"), 540_000),
            (json!(600.5), 540_450),
            // What cannot be a life is taken for the nearest that can.
            (json!(0), 900),
            (json!(-5), 900),
            (json!(1e300), 366 * 86_400_000 - 300_000),
            (json!("inf"), 366 * 86_400_000 - 300_000),
            // What is no number, for none.
            (json!("NaN"), 3_300_000),
            (json!("soon"), 3_300_000),
            (json!({}), 3_300_000),
        ] {
            assert_eq!(millis(&expires_in), expected, "{expires_in}");
        }
    }
}
