//! URLs: where the API is, and where one logs in.

use std::net::IpAddr;

use http::Uri;

pub(super) const URL_ADVICE: &str =
    "write it like https://host, with a path before /v1/messages if there is one";

pub(super) const ENDPOINT_ADVICE: &str = "write it like https://host/path";

/// A base URL without its trailing slash, if it is one.
pub(super) fn base_url(text: &str) -> Result<String, &'static str> {
    let text = text.trim_end_matches('/');
    parsed(text)?;
    if text.contains(['?', '#']) {
        return Err("this URL has a query or a fragment");
    }
    if text.ends_with("/v1") {
        return Err("this URL ends with /v1, which is added to it");
    }
    Ok(text.to_owned())
}

/// Checks the URL of a single resource that tokens pass through: only https keeps them from others,
/// unless they stay on this machine.
pub(super) fn endpoint(text: &str) -> Result<(), &'static str> {
    let url = parsed(text)?;
    if text.contains('#') {
        Err("this URL has a fragment")
    } else if url.scheme_str() == Some("http") && !url.host().is_some_and(is_loopback) {
        Err("an http URL must be on this machine (localhost, 127.0.0.1)")
    } else {
        Ok(())
    }
}

fn parsed(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| "this is not a URL")?;
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        Err("this is not an http or https URL")
    } else if url.host().is_none_or(str::is_empty) {
        Err("this URL has no host")
    } else if authority.contains('@') {
        Err("this URL has credentials in it")
    } else if url.port_u16().is_none() && url.host() != Some(authority) {
        Err("this URL has a port that is none")
    } else {
        Ok(url)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_lose_their_slash_and_nothing_else() {
        assert_eq!(base_url("https://api.poe.com/").as_deref(), Ok("https://api.poe.com"));
        assert_eq!(base_url("http://[::1]:8787/a/b").as_deref(), Ok("http://[::1]:8787/a/b"));
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for bad in [
            "",
            "host",
            "/v1",
            "ftp://host",
            "http://",
            "http://u:p@host",
            "http://host?a=b",
            "http://host#x",
            "https://host/v1/",
            "http://ho st",
            "https://host:99999999",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_machine() {
        for good in [
            "https://id.example.com/authorize?code=true",
            "http://localhost:8085/callback",
            "http://127.0.0.1/token",
            "http://[::1]:1/x",
        ] {
            assert_eq!(endpoint(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "http://id.example.com/token",
            "http://localhost.example.com/token",
            "http://127.0.0.1.example.com/token",
            "http://128.0.0.1/token",
            "https://u:p@host/token",
            "https://host/token#x",
            "custom://callback",
            "localhost:8085/callback",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
