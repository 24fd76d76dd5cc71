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
