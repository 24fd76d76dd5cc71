//! A client's request: what must be known of it, and nothing else of it touched.

pub mod batch;

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use bytes::Bytes;
use foldhash::fast::FixedState;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::fields::{Fields, NoFields, place, splice};

/// A request's body, and a view of it.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    /// The model, as the client names it.
    pub model: String,
    model_at: Range<usize>,
    /// Whether the answer shall be a stream.
    pub is_stream: bool,
    /// The most it may write, in tokens.
    pub max_tokens: Option<u64>,
    /// `metadata.user_id`.
    pub user_id: Option<String>,
    /// What the conversation begins with: the same for all turns of one.
    pub opening: u64,
    /// Whether it mentions a cache marker.
    pub writes_cache: bool,
    /// Whether it asks for inference in the United States.
    pub is_us_only: bool,
    /// Whether it asks for the fast mode.
    pub is_fast: bool,
}

/// Why a body is no request, in words for whoever sent it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// No JSON, or no object.
    #[error("The request body is not valid JSON: {0}")]
    Json(String),
    /// A key that stands there twice: which one counts is anybody's guess.
    #[error("{0}: the key is there twice")]
    Twice(String),
    /// No model.
    #[error("model: Field required")]
    NoModel,
    /// The field is of another type.
    #[error("{0}")]
    Field(&'static str),
    /// A part of it is wrong, for this reason.
    #[error("{0}")]
    Part(String),
}

impl From<NoFields> for Malformed {
    fn from(none: NoFields) -> Self {
        match none {
            NoFields::Json(text) => Self::Json(text),
            NoFields::Twice(key) => Self::Twice(key),
        }
    }
}

/// The longest name of a model that is looked at; the API's are below fifty.
const LONGEST_MODEL: usize = 256;

impl Request {
    /// Takes a look at a body.
    ///
    /// # Errors
    /// When it is not an object that names a model, or has a key twice.
    pub fn read(body: Bytes) -> Result<Self, Malformed> {
        let fields = Fields::read(&body)?;
        let field = |name: &str| fields.get(name);
        let raw = field("model").ok_or(Malformed::NoModel)?;
        let model: String = serde_json::from_str(raw.get())
            .map_err(|_| Malformed::Field("model: Input should be a valid string"))?;
        if model.is_empty() || model.len() > LONGEST_MODEL {
            return Err(Malformed::Field("model: String should have 1 to 256 characters"));
        }
        let model_at = place(&body, raw);
        let is = |name: &str, value: Value| {
            field(name).is_some_and(|raw| {
                serde_json::from_str(raw.get()).is_ok_and(|it: Value| it == value)
            })
        };
        let request = Self {
            model,
            model_at,
            is_stream: is("stream", true.into()),
            max_tokens: field("max_tokens").and_then(|raw| raw.get().parse().ok()),
            user_id: field("metadata").and_then(user_id),
            opening: opening(&field),
            writes_cache: memchr::memmem::find(&body, b"cache_control").is_some(),
            is_us_only: is("inference_geo", "us".into()),
            is_fast: is("speed", "fast".into()),
            body: Bytes::new(),
        };
        Ok(Self { body, ..request })
    }

    /// The body as it came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body with another name for the model, and every other byte as it came.
    #[must_use]
    pub fn body_for(&self, model: &str) -> Bytes {
        if model == self.model {
            return self.body.clone();
        }
        let name = Value::from(model).to_string();
        splice(&self.body, &[(self.model_at.clone(), name)])
    }
}

fn user_id(metadata: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: Option<String>,
    }
    serde_json::from_str::<Metadata>(metadata.get()).ok()?.user_id
}

/// A hash of system prompt, tools and first message.
fn opening<'a>(field: &impl Fn(&str) -> Option<&'a RawValue>) -> u64 {
    // Nobody gains from two openings with one hash: they are of one client, and would share a profile.
    let mut hasher = FixedState::default().build_hasher();
    for name in ["system", "tools"] {
        hasher.write(unmarked(field(name).map_or("", RawValue::get)).as_bytes());
    }
    let messages = field("messages").and_then(|raw| raw.get().strip_prefix('['));
    hasher.write(unmarked(messages.map_or("", first)).as_bytes());
    hasher.finish()
}

/// The first element of a list that is known to be JSON, without another look at what it is made of.
fn first(list: &str) -> &str {
    let bytes = list.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_text(bytes, at),
            b'{' | b'[' => depth += 1,
            b',' if depth == 0 => break,
            b']' if depth == 0 => break,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    list.get(..at).unwrap_or(list).trim()
}

/// Where a text ends that begins at a quote.
fn end_of_text(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(next) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += next;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2; // What is escaped ends nothing.
    }
    bytes.len()
}

/// JSON without its cache markers: clients move them from turn to turn.
fn unmarked(text: &str) -> Cow<'_, str> {
    const MARKER: &[u8] = b"\"cache_control\"";
    let (mut kept, mut rest) = (String::new(), text);
    while let Some(at) = memchr::memmem::find(rest.as_bytes(), MARKER) {
        let (before, marked) = rest.split_at(at);
        kept.push_str(before.trim_end().trim_end_matches(','));
        let end = marked.find('}').map_or(marked.len(), |end| end + 1);
        rest = &marked[end..];
    }
    if kept.is_empty() { rest.into() } else { (kept + rest).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Malformed> {
        Request::read(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn only_the_name_of_the_model_is_replaced_byte_for_byte() {
        let text = r#"{ "x":{"model":"a"},  "model" : "claude-sonnet-4.5" ,"new":1.50e3, "messages":[{"role":"user","content":"\u00e9 \"model\":"}] }"#;
        let request = read(text).unwrap();
        assert_eq!(request.model, "claude-sonnet-4.5");
        let replaced = request.body_for("claude-sonnet-4-5-20250929");
        let expected = text.replacen("\"claude-sonnet-4.5\"", "\"claude-sonnet-4-5-20250929\"", 1);
        assert_eq!(replaced, expected.as_bytes());
        assert_eq!(request.body_for("claude-sonnet-4.5").as_ptr(), request.body().as_ptr());
    }

    #[test]
    fn the_view_has_what_is_needed() {
        let text = r#"{"model":"\u0063laude","stream":true,"max_tokens":5,"metadata":{"user_id":"u","x":1},"inference_geo":"\u0075s","speed":"fast","system":[{"cache_control":{}}]}"#;
        let request = read(text).unwrap();
        assert_eq!((&*request.model, request.max_tokens), ("claude", Some(5)));
        assert_eq!(request.user_id.as_deref(), Some("u"));
        assert!(request.is_stream && request.writes_cache);
        assert!(request.is_us_only && request.is_fast);
        let other = read(r#"{"model":"claude","stream":false,"max_tokens":"5"}"#).unwrap();
        assert!(!other.is_stream && !other.writes_cache && other.max_tokens.is_none());
    }

    #[test]
    fn the_turns_of_a_conversation_have_one_opening_and_other_conversations_another() {
        let turn = |messages: &str| {
            read(&format!(r#"{{"model":"m","system":"s","messages":[{messages}]}}"#))
                .unwrap()
                .opening
        };
        let first = r#"{"role":"user","content":"hi"}"#;
        let next = format!(r#"{first},{{"role":"assistant","content":"ho"}}"#);
        assert_eq!(turn(first), turn(&next));
        assert_ne!(turn(first), turn(r#"{"role":"user","content":"hello"}"#));
        let block = |marker: &str| {
            format!(r#"{{"role":"user","content":[{{"type":"text","text":"hi"{marker}}}]}}"#)
        };
        let marked = block(r#", "cache_control": {"type":"ephemeral","ttl":"1h"}"#);
        assert_eq!(turn(&block("")), turn(&marked));
        assert_ne!(turn(&block("")), turn(&block(r#","x":1"#)));
    }

    #[test]
    fn the_first_of_a_list_ends_where_json_says_so() {
        for (list, expected) in [
            (
                r#" {"a":"]},\\\"","b":[1,{"c":"\\\\"}]} , 2]"#,
                r#"{"a":"]},\\\"","b":[1,{"c":"\\\\"}]}"#,
            ),
            (r#""a\",b",2]"#, r#""a\",b""#),
            (r#"[[],"x"]]"#, r#"[[],"x"]"#),
            ("1.5e3 ]", "1.5e3"),
            ("]", ""),
        ] {
            assert_eq!(first(list), expected);
        }
        let text = r#"{"a":"never ends"#;
        assert_eq!(first(text), text, "what is no JSON is left as it is");
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        let deep = format!("{{\"model\":\"m\",\"x\":{}", "[".repeat(1_000_000));
        for (text, told) in [
            ("", "The request body is not valid JSON: EOF"),
            ("[1]", "The request body is not valid JSON: an object is expected"),
            ("\"sk-x\"", "The request body is not valid JSON: an object is expected"),
            ("{\"sk-x\":1,\"sk-x\":2}", "[REDACTED]: the key is there twice"),
            ("{\"model\":\"a\"} x", "The request body is not valid JSON: trailing characters"),
            ("{\"a\":1,\"model\":\"a\",\"a\":2}", "a: the key is there twice"),
            ("{\"model\":\"a\",\"m\\u006fdel\":\"b\"}", "model: the key is there twice"),
            ("{}", "model: Field required"),
            ("{\"model\":null}", "model: Input should be a valid string"),
            ("{\"model\":\"\"}", "model: String should have"),
            (&deep, "The request body is not valid JSON: EOF"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
        }
        let broken = Request::read(Bytes::from_static(b"{\"model\":\"\xff\"}")).unwrap_err();
        assert!(broken.to_string().contains("invalid unicode"), "{broken}");
    }
}
