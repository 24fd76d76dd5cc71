//! Signing in with OAuth: the authorization code flow with PKCE, and renewing tokens.
//!
//! Every address, id, scope and extra header comes from a configuration.

mod error;
mod grant;
mod login;
mod paste;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use polpo_policy::limits::Timestamp;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::credential::{Credential, extra_headers};
use crate::error::TransportError;
use crate::transport::{Call, SILENCE, Transport};

pub use error::OAuthError;
pub use grant::Grant;
pub use login::Login;
pub use paste::{Code, PasteError};
pub use settings::{InvalidUrl, OAuthSettings, split_url};

/// From the first byte of a request to the last of its answer: a person, or a task, waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Bytes of an answer: tokens have a few kilobytes where they are long.
const MOST_BYTES: usize = 64 * 1024;

/// Takes codes and refresh tokens to the provider.
#[derive(Clone)]
pub struct OAuthClient {
    settings: OAuthSettings,
    token: Arc<dyn Transport>,
    profile: Arc<dyn Transport>,
}

impl OAuthClient {
    /// A client whose transport leads to the origin of the token URL, see [`split_url`].
    pub fn new(settings: OAuthSettings, transport: Arc<dyn Transport>) -> Self {
        Self { settings, profile: Arc::clone(&transport), token: transport }
    }

    /// With another transport for the profile URL, where that has an origin of its own.
    #[must_use]
    pub fn with_profile(self, profile: Arc<dyn Transport>) -> Self {
        Self { profile, ..self }
    }

    /// Takes the code of a login for tokens.
    ///
    /// # Errors
    /// When there are none.
    pub async fn exchange(
        &self,
        login: &Login,
        code: &Code,
        now: Timestamp,
    ) -> Result<Grant, OAuthError> {
        let fields = json!({
            "grant_type": "authorization_code",
            "client_id": self.settings.client_id,
            "code": code.expose(),
            "state": login.state,
            "redirect_uri": login.redirect_uri,
            "code_verifier": login.verifier,
        });
        self.grant(&fields, now).await
    }

    /// Takes a refresh token for the next access token. It may work only once: keep the one that
    /// comes before anything else is done, and let the request end: a new token that nobody waited
    /// for is lost.
    ///
    /// # Errors
    /// When there is none; [`OAuthError::is_final`] says whether to try again. After an answer that
    /// was lost on its way, the token may be used up.
    pub async fn refresh(&self, refresh_token: &str, now: Timestamp) -> Result<Grant, OAuthError> {
        let fields = json!({
            "grant_type": "refresh_token",
            "client_id": self.settings.client_id,
            "refresh_token": refresh_token,
        });
        self.grant(&fields, now).await
    }

    /// Asks for the e-mail address of the account that an access token belongs to; `None` if the
    /// settings have no profile URL, or the profile no address.
    ///
    /// # Errors
    /// When the profile cannot be read. That says nothing of the refresh token.
    pub async fn email(&self, access: &str) -> Result<Option<String>, OAuthError> {
        let Some(url) = &self.settings.profile_url else { return Ok(None) };
        let (_, path) = split_url(url)?;
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(JSON))]);
        let call =
            Call { method: Method::GET, path, headers, body: Bytes::new(), silence: SILENCE };
        let call = Credential::oauth(access, &self.settings.call_headers)?.sign(call);
        let answer = ask(&*self.profile, call, None).await?;
        let profile: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| OAuthError::Faulty { status: answer.status })?;
        Ok(grant::email(&profile))
    }

    async fn grant(&self, fields: &Value, now: Timestamp) -> Result<Grant, OAuthError> {
        let (_, path) = split_url(&self.settings.token_url)?;
        let mut headers = extra_headers(&self.settings.token_headers)?;
        for name in [ACCEPT, CONTENT_TYPE] {
            headers.insert(name, HeaderValue::from_static(JSON));
        }
        let body = fields.to_string().into();
        let call = Call { method: Method::POST, path, headers, body, silence: SILENCE };
        let answer = ask(&*self.token, call, Some(now)).await?;
        Grant::from_answer(answer.status, &answer.body, now)
    }
}

const JSON: &str = "application/json";

/// A success, read to its end.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

async fn ask(
    transport: &dyn Transport,
    call: Call,
    now: Option<Timestamp>,
) -> Result<Answer, OAuthError> {
    let secrets = secrets(&call);
    let answer = async {
        let mut reply = transport.send(call).await?;
        let mut body = Vec::new();
        while let Some(chunk) = reply.body.next().await {
            let chunk = chunk?;
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(OAuthError::Faulty { status: reply.status.as_u16() });
            }
            body.extend_from_slice(&chunk);
        }
        if !reply.status.is_success() {
            let body = without(&secrets, &body);
            return Err(OAuthError::from_answer(reply.status, &reply.headers, &body, now));
        }
        Ok(Answer { status: reply.status.as_u16(), body })
    };
    timeout(DEADLINE, answer).await.unwrap_or(Err(OAuthError::Unreachable(TransportError::Idle)))
}

/// Fields of a request that hold secrets.
const SECRET_FIELDS: [&str; 3] = ["code", "code_verifier", "refresh_token"];

/// Shorter texts are words that an answer may well have of its own.
const MIN_SECRET_BYTES: usize = 8;

/// What must not be told of a request if its answer quotes it: some fields, and headers of the
/// settings.
fn secrets(call: &Call) -> Vec<String> {
    let fields: Value = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
    let fields = SECRET_FIELDS.iter().filter_map(|name| fields[name].as_str());
    let headers = call.headers.iter().filter(|(name, _)| ![ACCEPT, CONTENT_TYPE].contains(name));
    let found = fields.chain(headers.filter_map(|(_, value)| value.to_str().ok()));
    found.filter(|secret| secret.len() >= MIN_SECRET_BYTES).map(str::to_owned).collect()
}

/// A body with these secrets left out.
fn without(secrets: &[String], body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).into_owned();
    let told = secrets.iter().fold(text, |text, secret| text.replace(secret, "[REDACTED]"));
    told.into_bytes()
}

#[cfg(test)]
mod tests;
