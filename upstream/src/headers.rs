//! What of a message's headers is passed on through a gateway.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that hold for one connection only (RFC 9110, 7.6.1), and what the transports set anew.
const HOP_BY_HOP: [&str; 12] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "content-length",
];

/// What a client, or a proxy before us, says to us and not to upstream: who it is, where its page
/// came from, and which codings it would take from us.
const FOR_US: [&str; 11] = [
    "authorization",
    "x-api-key",
    "cookie",
    "origin",
    "accept-encoding",
    "anthropic-workspace-id",
    "x-real-ip",
    "forwarded",
    "via",
    "x-polpo-model",
    "x-polpo-cost-usd",
];

/// Beginnings of such.
const FOR_US_PREFIXES: [&str; 2] = ["x-forwarded-", "cf-"];

/// What upstream says to us: whose account it is, and how its limits stand.
const OF_ACCOUNT: [&str; 10] = [
    "anthropic-organization-id",
    "anthropic-workspace-id",
    "set-cookie",
    "location",
    "server",
    "date",
    "alt-svc",
    "strict-transport-security",
    "report-to",
    "nel",
];

/// Beginnings of such; the last are those of a LiteLLM between, which repeats the API's own.
const OF_ACCOUNT_PREFIXES: [&str; 7] = [
    "anthropic-ratelimit-",
    "anthropic-priority-",
    "anthropic-fast-",
    "x-ratelimit-",
    "cf-",
    "llm_provider-",
    "x-litellm-",
];

/// The headers of a client's request as upstream gets them; names are in lower case.
#[must_use]
pub fn of_request(headers: &[(&str, &[u8])]) -> HeaderMap {
    let of_hop = OfHop::told(headers.iter().copied());
    let is_ours = |name: &str| {
        FOR_US.contains(&name)
            || FOR_US_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || of_hop.has(name)
    };
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| !is_ours(name)) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            passed.append(name, value);
        }
    }
    passed
}

/// Headers that go out as they are: nobody looks one up.
pub type Forwarded = Vec<(HeaderName, HeaderValue)>;

/// The headers of upstream's answer as the client gets them.
#[must_use]
pub fn of_answer(headers: HeaderMap) -> Forwarded {
    let of_hop = OfHop::told(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    let is_ours = |name: &str| {
        OF_ACCOUNT.contains(&name)
            || OF_ACCOUNT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || of_hop.has(name)
    };
    let mut passed = Vec::with_capacity(headers.len());
    let mut last = None;
    for (name, value) in headers {
        // A name stands only before the first of its values.
        last = name.or(last);
        passed.extend(last.clone().filter(|name| !is_ours(name.as_str())).map(|it| (it, value)));
    }
    passed
}

/// What holds for one connection, also because `connection` names it.
struct OfHop(Vec<String>);

impl OfHop {
    fn told<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let lists = headers
            .filter(|(name, _)| *name == "connection")
            .filter_map(|(_, value)| std::str::from_utf8(value).ok());
        let names = lists.flat_map(|list| list.split(','));
        Self(names.map(|name| name.trim().to_ascii_lowercase()).collect())
    }

    fn has(&self, name: &str) -> bool {
        HOP_BY_HOP.contains(&name) || self.0.iter().any(|named| named == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(parsed).collect()
    }

    #[test]
    fn what_is_between_a_client_and_us_stays_there_and_all_else_is_passed_on() {
        let kept = [
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "a,b"),
            ("content-type", "application/json"),
            ("user-agent", "x"),
            ("x-unknown", "1"),
        ];
        let gone = [
            ("host", "localhost"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("origin", "https://x"),
            ("cookie", "a=b"),
            ("accept-encoding", "gzip"),
            ("authorization", "Bearer x"),
            ("x-api-key", "x"),
            ("x-forwarded-for", "10.0.0.1"),
            ("cf-ray", "x"),
        ];
        let all = kept.iter().chain(&gone).map(|(name, value)| (*name, value.as_bytes()));
        let passed = of_request(&Vec::from_iter(all));
        assert_eq!(passed, headers(&kept));
    }

    #[test]
    fn an_answer_does_not_tell_whose_account_it_came_from() {
        let kept = [
            ("content-type", "text/event-stream"),
            ("x-two", "1"),
            ("x-two", "2"),
            ("retry-after", "3"),
        ];
        let gone = [
            ("anthropic-organization-id", "o"),
            ("anthropic-workspace-id", "w"),
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("set-cookie", "a=b"),
            ("cf-cache-status", "DYNAMIC"),
            ("llm_provider-anthropic-organization-id", "o"),
            ("x-litellm-key-spend", "0.1"),
        ];
        let passed = of_answer(headers(&[&kept[..], &gone].concat()));
        assert_eq!(passed.into_iter().collect::<HeaderMap>(), headers(&kept));
    }
}
