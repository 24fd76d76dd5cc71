//! The fields of a JSON object: found, and every other byte as it came.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::redacted;

/// Fields of an object, at the most: the API has about thirty, and each is compared with the others.
const MOST_FIELDS: usize = 256;

/// How the message begins that says that a key is there twice.
const TWICE: &str = "twice: ";

/// What there should be.
const EXPECTED: &str = "an object is expected";

/// The fields of an object, each once.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Why a text has no fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoFields {
    /// It is no JSON, or no object.
    Json(String),
    /// A key is there twice.
    Twice(String),
}

impl<'a> Fields<'a> {
    /// The fields of an object that is written so.
    pub(super) fn read(json: &'a [u8]) -> Result<Self, NoFields> {
        serde_json::from_slice(json).map_err(|error| {
            let text = error.to_string();
            match text.strip_prefix(TWICE).and_then(|rest| rest.split(" at line ").next()) {
                Some(key) => NoFields::Twice(redacted(key)),
                // The library quotes what stands there instead, which may be a secret.
                None if text.starts_with("invalid type") => NoFields::Json(EXPECTED.to_owned()),
                None => NoFields::Json(text),
            }
        })
    }

    /// The value of a field as it is written.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }
}

/// Where in a body a value stands that is lent from it.
pub(super) fn place(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
    start..start + raw.get().len()
}

/// A body with other text in these places, which are in order.
pub(super) fn splice(body: &Bytes, changes: &[(Range<usize>, String)]) -> Bytes {
    if changes.is_empty() {
        return body.clone();
    }
    let added: usize = changes.iter().map(|(_, text)| text.len()).sum();
    let mut whole = BytesMut::with_capacity(body.len() + added);
    let mut from = 0;
    for (at, text) in changes {
        whole.extend_from_slice(&body[from..at.start]);
        whole.extend_from_slice(text.as_bytes());
        from = at.end;
    }
    whole.extend_from_slice(&body[from..]);
    whole.freeze()
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields: Vec<(Cow<'de, str>, &RawValue)> = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &RawValue>()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(M::Error::custom("too many fields"));
                    }
                    if fields.iter().any(|(other, _)| *other == key) {
                        return Err(M::Error::custom(format_args!("{TWICE}{key}")));
                    }
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}
