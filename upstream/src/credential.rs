//! Credentials, and how they sign a call.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use thiserror::Error;

use crate::transport::Call;

/// Says that a credential cannot be sent as a header.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the credential holds characters that no HTTP header can carry")]
pub struct UnsendableCredential;

/// What proves to upstream who we are.
#[derive(Clone, Debug)]
pub struct Credential {
    header: Header,
    value: HeaderValue,
}

#[derive(Clone, Copy, Debug)]
enum Header {
    ApiKey,
    Authorization,
}

impl Credential {
    /// An API key, sent as `x-api-key`.
    ///
    /// # Errors
    /// When it cannot be sent as a header.
    pub fn api_key(key: &str) -> Result<Self, UnsendableCredential> {
        Ok(Self { header: Header::ApiKey, value: sensitive(key)? })
    }

    /// A token or key, sent as `Authorization: Bearer`.
    ///
    /// # Errors
    /// When it cannot be sent as a header.
    pub fn bearer(token: &str) -> Result<Self, UnsendableCredential> {
        let value = sensitive(&format!("Bearer {token}"))?;
        Ok(Self { header: Header::Authorization, value })
    }

    /// Adds the credential to a call.
    #[must_use]
    pub fn sign(&self, mut call: Call) -> Call {
        match self.header {
            Header::ApiKey => call.headers.insert("x-api-key", self.value.clone()),
            Header::Authorization => call.headers.insert(AUTHORIZATION, self.value.clone()),
        };
        call
    }
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
    use http::{HeaderMap, Method};

    #[test]
    fn a_credential_is_sent_but_never_printed() {
        let secret = "sk-ant-marked";
        let call = || Call {
            method: Method::POST,
            path: "/v1/messages".into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        for credential in [Credential::api_key(secret), Credential::bearer(secret)] {
            let credential = credential.unwrap();
            let signed = credential.sign(call());
            let sent = signed.headers.values().next().unwrap();
            assert!(sent.to_str().unwrap().ends_with("sk-ant-marked"));
            assert!(!format!("{credential:?} {signed:?}").contains("marked"));
        }
        assert!(Credential::api_key("a\nb").is_err());
    }
}
