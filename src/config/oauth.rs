//! From the `oauth` of a provider to [`OAuthSettings`]: URLs, scopes and headers checked.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use polpo_upstream::oauth::OAuthSettings;

use super::error::Fault;
use super::path::JsonPath;
use super::schema::OAuth;
use super::url::{ENDPOINT_ADVICE, endpoint};

/// Headers that say who calls and how: they are made of the credential and of the request.
const OWN_HEADERS: [&str; 5] = ["authorization", "x-api-key", "host", "content-length", "cookie"];

/// Checks how people log in.
pub(super) fn oauth(given: OAuth, path: &JsonPath) -> Result<OAuthSettings, Fault> {
    let url = |key: &str, text: String| {
        endpoint(&text)
            .map_err(|problem| Fault::at(&path.key(key), problem, ENDPOINT_ADVICE))
            .map(|()| text)
    };
    if given.client_id.is_empty() || !given.client_id.bytes().all(|b| b.is_ascii_graphic()) {
        let problem = "must be visible ASCII characters without a blank, and at least one";
        let advice = "write the client id as the service has given it to you";
        return Err(Fault::at(&path.key("clientId"), problem, advice));
    }
    Ok(OAuthSettings {
        client_id: given.client_id,
        authorize_url: url("authorizeUrl", given.authorize_url)?,
        token_url: url("tokenUrl", given.token_url)?,
        redirect_uri: url("redirectUri", given.redirect_uri)?,
        scopes: scopes(given.scopes, &path.key("scopes"))?,
        token_headers: headers(given.token_headers, &path.key("tokenHeaders"))?,
        call_headers: headers(given.call_headers, &path.key("callHeaders"))?,
        profile_url: given.profile_url.map(|text| url("profileUrl", text)).transpose()?,
    })
}

/// Scopes are joined by blanks (RFC 6749 §3.3), so none may have one.
fn scopes(given: Vec<String>, path: &JsonPath) -> Result<Vec<String>, Fault> {
    let in_scope = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    let is_scope = |scope: &String| !scope.is_empty() && scope.bytes().all(in_scope);
    match given.iter().position(|scope| !is_scope(scope)) {
        Some(at) => {
            let problem = "this is no scope: it is empty, or has a blank or a quote in it";
            Err(Fault::at(&path.index(at), problem, "write each scope as a string of its own"))
        }
        None => Ok(given),
    }
}

fn headers(
    given: BTreeMap<String, String>,
    path: &JsonPath,
) -> Result<Vec<(String, String)>, Fault> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in given {
        let path = path.key(&name);
        let Ok(name) = HeaderName::try_from(name) else {
            return Err(Fault::at(&path, "this is no name for a header", "correct it"));
        };
        let name = name.as_str().to_owned();
        if OWN_HEADERS.contains(&name.as_str()) {
            let problem = "this header is not yours to set: polpo makes it for each request";
            return Err(Fault::at(&path, problem, "remove it"));
        }
        if headers.iter().any(|(known, _)| *known == name) {
            let problem = "this header stands here twice, as case does not matter";
            return Err(Fault::at(&path, problem, "keep one of them"));
        }
        if HeaderValue::try_from(&value).is_err() {
            let problem = "the value has a character in it that no header can carry";
            return Err(Fault::at(&path, problem, "correct it"));
        }
        headers.push((name, value));
    }
    Ok(headers)
}
