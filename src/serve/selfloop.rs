//! A gateway must not be its own upstream: a shell set up for its clients would make it so.

use std::net::{IpAddr, SocketAddr};

use http::Uri;

/// Whether a base URL is where we listen.
pub(super) fn is_own(base_url: &str, own: SocketAddr) -> bool {
    let Ok(url) = base_url.parse::<Uri>() else { return false };
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let host = url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = match host.parse::<IpAddr>() {
        Ok(ip) => {
            ip == own.ip()
                || (own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified()))
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    let is_reached = own.ip().is_loopback() || own.ip().is_unspecified();
    port == own.port() && is_here && (is_reached || host.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_address_is_known_by_its_names() {
        let own = "127.0.0.1:8787".parse().unwrap();
        for url in ["http://127.0.0.1:8787", "http://localhost:8787/v1", "http://LOCALHOST:8787"] {
            assert!(is_own(url, own), "{url}");
        }
        for url in [
            "http://127.0.0.1:8788",
            "http://localhost",
            "https://api.anthropic.com",
            "http://10.0.0.1:8787",
            "",
        ] {
            assert!(!is_own(url, own), "{url}");
        }
        let all = "0.0.0.0:80".parse().unwrap();
        assert!(is_own("http://127.0.0.1", all) && is_own("http://localhost", all));
        assert!(!is_own("http://10.0.0.1", all));
        let other = "10.0.0.1:8787".parse().unwrap();
        assert!(is_own("http://10.0.0.1:8787", other) && !is_own("http://localhost:8787", other));
    }
}
