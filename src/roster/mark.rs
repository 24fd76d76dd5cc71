//! What a gateway writes on the calls that it sends, so that it knows those that come back to it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use polpo_upstream::oauth::split_url;
use polpo_upstream::transport::{Call, Sending, Transport};

use crate::config::is_built_in;

/// The mark of this process: a random number, which says nothing of it.
#[derive(Clone, Debug)]
pub struct Mark(HeaderValue);

impl Default for Mark {
    fn default() -> Self {
        Self(HeaderValue::from(fastrand::u64(..)))
    }
}

impl Mark {
    /// The header in which each gateway on a call's way leaves its mark.
    pub const HEADER: &str = "x-polpo-gateway";

    /// Whether it is among the values of that header, into one of which a proxy may have put several.
    pub fn is_in<'a>(&self, mut values: impl Iterator<Item = &'a [u8]>) -> bool {
        let is_it = |mark: &[u8]| self.0 == mark.trim_ascii();
        values.any(|value| value.split(|byte| *byte == b',').any(is_it))
    }

    /// Marks what is sent to `base_url`, unless that is a provider's own, from where nothing comes
    /// back: there marks of others end, too.
    pub(super) fn on(&self, base_url: &str, way: Arc<dyn Transport>) -> Arc<dyn Transport> {
        let is_official = split_url(base_url).is_ok_and(|(origin, _)| is_built_in(&origin));
        let mark = (!is_official).then(|| self.0.clone());
        Arc::new(Marked { way, mark })
    }
}

/// A way on which calls are marked.
struct Marked {
    way: Arc<dyn Transport>,
    mark: Option<HeaderValue>,
}

impl Transport for Marked {
    fn send(&self, mut call: Call) -> Sending {
        let header = HeaderName::from_static(Mark::HEADER);
        match &self.mark {
            Some(mark) => {
                call.headers.append(header, mark.clone());
            }
            None => {
                call.headers.remove(header);
            }
        }
        self.way.send(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use polpo_upstream::error::TransportError;
    use polpo_upstream::transport::SILENCE;

    /// Keeps the marks of what was sent last.
    #[derive(Default)]
    struct Way(Mutex<Vec<HeaderValue>>);

    impl Transport for Way {
        fn send(&self, call: Call) -> Sending {
            *self.0.lock().unwrap() = call.headers.get_all(Mark::HEADER).iter().cloned().collect();
            Box::pin(async { Err(TransportError::Connect) })
        }
    }

    /// The marks on a call to `base_url` that came with one of somebody else.
    fn marks(mark: &Mark, base_url: &str) -> Vec<HeaderValue> {
        let way = Arc::new(Way::default());
        let mut headers = HeaderMap::new();
        headers.insert(Mark::HEADER, HeaderValue::from_static("7"));
        let (path, body) = ("/v1/messages".to_owned(), Bytes::new());
        let call = Call { method: Method::POST, path, headers, body, silence: SILENCE };
        drop(mark.on(base_url, way.clone()).send(call));
        way.0.lock().unwrap().clone()
    }

    #[test]
    fn marks_are_added_on_the_way_to_whoever_may_be_a_gateway_and_end_at_the_providers() {
        let mark = Mark::default();
        for url in ["http://127.0.0.1:8787", "https://proxy.example/x", "http://api.anthropic.com"]
        {
            assert_eq!(marks(&mark, url), [HeaderValue::from_static("7"), mark.0.clone()], "{url}");
        }
        for url in ["https://api.anthropic.com", "https://api.poe.com/x", "https://API.poe.com:443"]
        {
            assert!(marks(&mark, url).is_empty(), "{url}");
        }
    }

    #[test]
    fn a_mark_is_found_among_others_and_only_as_a_whole() {
        let mark = Mark(HeaderValue::from_static("123"));
        let has = |values: &[&str]| mark.is_in(values.iter().map(|value| value.as_bytes()));
        assert!(has(&["123"]) && has(&["7", "123"]) && has(&["7,123"]) && has(&["123 , 7"]));
        assert!(!has(&[]) && !has(&["1234", "12"]) && !has(&["0123"]));
    }
}
