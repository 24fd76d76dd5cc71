//! Where and how one signs in: all of it comes from a configuration.

use std::fmt;

use thiserror::Error;
use url::Url;

/// How to sign in at one provider.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    /// The id that the provider knows this program by.
    pub client_id: String,
    /// The page where a person signs in.
    pub authorize_url: String,
    /// What takes codes and refresh tokens for access tokens.
    pub token_url: String,
    /// Where the page sends or shows the code.
    pub redirect_uri: String,
    /// What is asked for; the provider decides if there are none.
    pub scopes: Vec<String>,
    /// Extra headers of requests to the token URL.
    pub token_headers: Vec<(String, String)>,
    /// Extra headers of calls that are signed with a token.
    pub call_headers: Vec<(String, String)>,
    /// What tells whose token it is, where the token's answer does not.
    pub profile_url: Option<String>,
}

/// Headers are told by name: a value may be a secret.
impl fmt::Debug for OAuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |headers: &[(String, String)]| {
            headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        f.debug_struct("OAuthSettings")
            .field("client_id", &self.client_id)
            .field("authorize_url", &self.authorize_url)
            .field("token_url", &self.token_url)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .field("token_headers", &names(&self.token_headers))
            .field("call_headers", &names(&self.call_headers))
            .field("profile_url", &self.profile_url)
            .finish()
    }
}

/// Says that a URL cannot be called. The URL is not told, as its query may hold a secret.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not an http or https URL with a host, and without user, password and fragment")]
pub struct InvalidUrl;

/// A URL's origin, which a transport is made for, and its path and query, which a call has.
///
/// # Errors
/// When it is no such URL.
pub fn split_url(url: &str) -> Result<(String, String), InvalidUrl> {
    let url = Url::parse(url).map_err(|_| InvalidUrl)?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        return Err(InvalidUrl);
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok((url.origin().ascii_serialization(), format!("{}{query}", url.path())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_what_connects_and_what_is_asked() {
        for (url, origin, path) in [
            ("https://a.example/v1/oauth/token", "https://a.example", "/v1/oauth/token"),
            ("https://a.example:443", "https://a.example", "/"),
            ("http://127.0.0.1:8080/token?a=b&c", "http://127.0.0.1:8080", "/token?a=b&c"),
            ("http://[::1]:9/t", "http://[::1]:9", "/t"),
        ] {
            assert_eq!(split_url(url), Ok((origin.to_owned(), path.to_owned())));
        }
        for bad in [
            "",
            "/v1/oauth/token",
            "a.example/token",
            "ftp://a.example/token",
            "https://",
            "https://user@a.example/",
            "https://:word@a.example/",
            "https://a.example/#fragment",
            "data:text/plain,x",
        ] {
            assert_eq!(split_url(bad), Err(InvalidUrl), "{bad}");
        }
    }
}
