//! Which conversation a request is a turn of.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderMap;
use polpo_policy::id::{KeyName, SessionId};
use polpo_upstream::wire::request::Request;

/// Headers that name it: a sub-agent's own first, as all of a session would be one otherwise.
const NAMES: [&str; 2] = ["x-claude-code-agent-id", "x-claude-code-session-id"];

/// The conversation that a request of this key is a turn of: as its headers or `metadata.user_id` say,
/// else the one that begins as it does. The same name of another key is another conversation.
pub(super) fn session(key: &KeyName, headers: &HeaderMap, request: &Request) -> SessionId {
    let mut hasher = DefaultHasher::new();
    let named = NAMES.iter().find_map(|name| headers.get(*name).filter(|id| !id.is_empty()));
    match (named, &request.user_id) {
        (Some(id), _) => id.as_bytes().hash(&mut hasher),
        (None, Some(id)) => id.as_bytes().hash(&mut hasher),
        (None, None) => request.opening.hash(&mut hasher),
    }
    format!("{key}/{:016x}", hasher.finish()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn of(key: &str, headers: &[(&'static str, &str)], body: &'static str) -> SessionId {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let request = Request::read(Bytes::from_static(body.as_bytes())).unwrap();
        session(&key.into(), &headers.collect(), &request)
    }

    const PLAIN: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    const NAMED: &str = r#"{"model":"m","metadata":{"user_id":"u"},"messages":[]}"#;

    #[test]
    fn a_sub_agent_has_its_own_conversation_and_a_session_one_and_keys_share_none() {
        let session = ("x-claude-code-session-id", "s");
        let (one, other) = (("x-claude-code-agent-id", "1"), ("x-claude-code-agent-id", "2"));
        assert_eq!(of("a", &[session], PLAIN), of("a", &[session], NAMED));
        assert_ne!(of("a", &[session, one], PLAIN), of("a", &[session, other], PLAIN));
        assert_ne!(of("a", &[session], PLAIN), of("b", &[session], PLAIN));
        assert_ne!(of("a", &[], PLAIN), of("b", &[], PLAIN));
    }

    #[test]
    fn without_a_header_the_user_counts_and_without_one_the_opening() {
        let longer = r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#;
        let other = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
        assert_eq!(of("a", &[], NAMED), of("a", &[("x-claude-code-agent-id", "")], NAMED));
        assert_ne!(of("a", &[], NAMED), of("a", &[], PLAIN));
        assert_eq!(of("a", &[], PLAIN), of("a", &[], longer));
        assert_ne!(of("a", &[], PLAIN), of("a", &[], other));
    }
}
