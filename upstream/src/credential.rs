//! Credentials, and how they sign a call.

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::transport::Call;
use crate::wire::problem::redacted;

/// Says that a credential cannot be sent as a header.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the credential holds characters that no HTTP header can carry")]
pub struct UnsendableCredential;

/// Why a credential and its extra headers cannot sign calls.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnusableHeader {
    /// The credential itself.
    #[error(transparent)]
    Credential(#[from] UnsendableCredential),
    /// A name that no header can have.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// A header that the credential or the transport sets.
    #[error("the header `{0}` cannot be set")]
    Reserved(String),
    /// A value that no header can have; it is not told, as it may be a secret.
    #[error("the value of the header `{0}` holds characters that no HTTP header can carry")]
    Value(String),
}

/// What proves to upstream who we are.
#[derive(Clone, Debug)]
pub struct Credential {
    header: Header,
    value: HeaderValue,
    extra: HeaderMap,
}

#[derive(Clone, Copy, Debug)]
enum Header {
    ApiKey,
    Authorization,
}

/// Names what a call wants of the API beyond what everyone gets: a list, separated by commas.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What is for the credential and the transport to set.
const RESERVED: [HeaderName; 6] =
    [AUTHORIZATION, API_KEY, HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];

impl Credential {
    /// An API key, sent as `x-api-key`.
    ///
    /// # Errors
    /// When it cannot be sent as a header.
    pub fn api_key(key: &str) -> Result<Self, UnsendableCredential> {
        Ok(Self { header: Header::ApiKey, value: sensitive(key)?, extra: HeaderMap::new() })
    }

    /// A token or key, sent as `Authorization: Bearer`.
    ///
    /// # Errors
    /// When it cannot be sent as a header.
    pub fn bearer(token: &str) -> Result<Self, UnsendableCredential> {
        let value = sensitive(&format!("Bearer {token}"))?;
        Ok(Self { header: Header::Authorization, value, extra: HeaderMap::new() })
    }

    /// An OAuth access token, sent as `Authorization: Bearer` with the headers it needs beside it.
    ///
    /// Betas are added to those of a call; other headers replace the call's own.
    ///
    /// # Errors
    /// When the token or one of the headers cannot be sent.
    pub fn oauth(token: &str, call_headers: &[(String, String)]) -> Result<Self, UnusableHeader> {
        Ok(Self { extra: extra_headers(call_headers)?, ..Self::bearer(token)? })
    }

    /// Adds the credential to a call.
    #[must_use]
    pub fn sign(&self, mut call: Call) -> Call {
        for (name, value) in &self.extra {
            add(&mut call.headers, name.clone(), value.clone());
        }
        let name = match self.header {
            Header::ApiKey => API_KEY,
            Header::Authorization => AUTHORIZATION,
        };
        call.headers.insert(name, self.value.clone());
        call
    }

    /// Whether a text quotes a secret of it.
    #[must_use]
    pub fn is_quoted_in(&self, text: &[u8]) -> bool {
        let secret = self.value.as_bytes();
        let secret = secret.strip_prefix(b"Bearer ").unwrap_or(secret);
        let others = self.extra.iter().filter(|(name, _)| **name != BETA);
        let mut secrets = others.map(|(_, value)| value.as_bytes()).chain([secret]);
        secrets.any(|secret| memchr::memmem::find(text, secret).is_some())
    }
}

/// Headers from a configuration.
///
/// # Errors
/// When one cannot be sent, or is for the credential or the transport to set.
pub fn extra_headers(pairs: &[(String, String)]) -> Result<HeaderMap, UnusableHeader> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        // A value that was taken for a name may be a secret.
        let parsed =
            HeaderName::try_from(name).map_err(|_| UnusableHeader::Name(redacted(name)))?;
        if RESERVED.contains(&parsed) {
            return Err(UnusableHeader::Reserved(parsed.to_string()));
        }
        let value = sensitive(value).map_err(|_| UnusableHeader::Value(parsed.to_string()))?;
        add(&mut headers, parsed, value);
    }
    Ok(headers)
}

/// Sets a header, but adds betas to those that are there.
fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let value = if name == BETA { united(headers, &value).unwrap_or(value) } else { value };
    headers.insert(name, value);
}

/// The betas that are there and the new ones, none twice; `None` if they cannot be read.
fn united(headers: &HeaderMap, new: &HeaderValue) -> Option<HeaderValue> {
    let mut betas = Vec::new();
    for value in headers.get_all(BETA).iter().chain([new]) {
        for beta in value.to_str().ok()?.split(',').map(str::trim) {
            if !beta.is_empty() && !betas.contains(&beta) {
                betas.push(beta);
            }
        }
    }
    HeaderValue::from_str(&betas.join(",")).ok()
}

fn sensitive(text: &str) -> Result<HeaderValue, UnsendableCredential> {
    let mut value = HeaderValue::from_str(text).map_err(|_| UnsendableCredential)?;
    value.set_sensitive(true); // Keeps it out of `Debug`.
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::Method;

    use crate::transport::SILENCE;

    fn call(headers: HeaderMap) -> Call {
        Call {
            method: Method::POST,
            path: "/v1/messages".into(),
            headers,
            body: Bytes::new(),
            silence: SILENCE,
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn a_text_that_quotes_the_secret_is_told_from_any_other() {
        let betas = [("anthropic-beta", "b-1"), ("x-gate", "gate/9")];
        let token = Credential::oauth("to/ken+x==", &pairs(&betas)).unwrap();
        for quoting in ["no to/ken+x==!", "Bearer to/ken+x==", "gate/9?"] {
            assert!(token.is_quoted_in(quoting.as_bytes()), "{quoting}");
        }
        let name = "mcp__claude_ai_Slack__slack_search_public_and_private";
        for other in ["", "Bearer", "the beta b-1", "to/ken", name] {
            assert!(!token.is_quoted_in(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_credential_is_sent_but_never_printed() {
        let secret = "sk-ant-marked";
        for credential in [
            Credential::api_key(secret).unwrap(),
            Credential::bearer(secret).unwrap(),
            Credential::oauth(secret, &pairs(&[("x-secret", "sk-ant-marked")])).unwrap(),
        ] {
            let signed = credential.sign(call(HeaderMap::new()));
            for sent in signed.headers.values() {
                assert!(sent.to_str().unwrap().ends_with("sk-ant-marked"));
            }
            assert!(!format!("{credential:?} {signed:?}").contains("marked"));
        }
        assert!(Credential::api_key("a\nb").is_err());
        assert!(Credential::oauth("a\nb", &[]).is_err());
    }

    #[test]
    fn a_token_brings_its_betas_to_those_of_the_call_and_replaces_other_headers() {
        let extra = [
            ("Anthropic-Beta", "oauth-1, shared-2"),
            ("x-app", "ours"),
            ("anthropic-beta", "more-3"),
        ];
        let credential = Credential::oauth("sk-ant-oat01-x", &pairs(&extra)).unwrap();
        let mut own = HeaderMap::new();
        own.append("anthropic-beta", HeaderValue::from_static("shared-2,own-4"));
        own.append("anthropic-beta", HeaderValue::from_static("own-5, own-4"));
        own.append("x-app", HeaderValue::from_static("theirs"));
        let signed = credential.sign(call(own)).headers;
        let sent = |name: &str| {
            let values = signed.get_all(name).iter().map(|value| value.to_str().unwrap());
            values.collect::<Vec<_>>()
        };
        assert_eq!(sent("anthropic-beta"), ["shared-2,own-4,own-5,oauth-1,more-3"]);
        assert_eq!(sent("authorization"), ["Bearer sk-ant-oat01-x"]);
        assert_eq!((sent("x-app"), sent("x-api-key")), (vec!["ours"], vec![]));

        let alone = credential.sign(call(HeaderMap::new())).headers;
        assert_eq!(alone["anthropic-beta"], "oauth-1,shared-2,more-3");
    }

    #[test]
    fn headers_that_cannot_be_set_are_told_without_their_values() {
        for (name, value, expected) in [
            ("Authorization", "marked", UnusableHeader::Reserved("authorization".into())),
            ("x-api-key", "marked", UnusableHeader::Reserved("x-api-key".into())),
            ("HOST", "marked", UnusableHeader::Reserved("host".into())),
            ("content-length", "1", UnusableHeader::Reserved("content-length".into())),
            ("a b", "marked", UnusableHeader::Name("a b".into())),
            ("a sk-ant-marked", "", UnusableHeader::Name("a [REDACTED]".into())),
            ("x-ok", "marked\r\n", UnusableHeader::Value("x-ok".into())),
        ] {
            let error = Credential::oauth("t", &pairs(&[(name, value)])).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("marked"), "{error}");
            assert_eq!(error, expected);
        }
    }
}
