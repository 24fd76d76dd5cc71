//! How many tokens a request reads, told from its body: for when nobody counts them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Bytes of text for a token: prose has a little more, code a little less.
const BYTES_PER_TOKEN: u64 = 4;

/// What a picture, or a page of a document, comes to at the most, whatever its size as a file.
const TOKENS_OF_A_PICTURE: u64 = 1_600;

/// What a number, `true` or `null` comes to.
const A_WORD: u64 = BYTES_PER_TOKEN;

/// The types of sources whose data is not text.
const CODED: [&str; 3] = ["base64", "url", "file"];

/// What models do not read.
const NOT_READ: [&str; 2] = ["cache_control", "signature"];

/// About how many tokens a request of this body reads.
#[must_use]
pub fn estimated(body: &[u8]) -> u64 {
    let read = serde_json::from_slice::<Read>(body);
    // Of what cannot be looked at, such as JSON that is too deep, all.
    let bytes = read.map_or(body.len() as u64, |read| {
        [read.system, read.messages, read.tools].iter().map(|weight| weight.bytes).sum()
    });
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// The parts of a request that a model reads.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Read {
    system: Weight,
    messages: Weight,
    tools: Weight,
}

/// What a value comes to in bytes of text. Nothing of it is kept, however large it is.
#[derive(Clone, Copy, Default)]
struct Weight {
    bytes: u64,
    /// Whether it is one of [`CODED`].
    is_coded: bool,
}

impl Weight {
    const fn of(bytes: u64) -> Self {
        Self { bytes, is_coded: false }
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scale)
    }
}

struct Scale;

impl<'de> Visitor<'de> for Scale {
    type Value = Weight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Weight, E> {
        Ok(Weight::of(A_WORD))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Weight, E> {
        Ok(Weight::of(A_WORD))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Weight, E> {
        Ok(Weight::of(A_WORD))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Weight, E> {
        Ok(Weight::of(A_WORD))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Weight, E> {
        Ok(Weight::of(A_WORD))
    }

    fn visit_str<E>(self, text: &str) -> Result<Weight, E> {
        Ok(Weight { bytes: text.len() as u64, is_coded: CODED.contains(&text) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Weight, A::Error> {
        let mut bytes = 0;
        while let Some(item) = list.next_element::<Weight>()? {
            bytes += item.bytes;
        }
        Ok(Weight::of(bytes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weight, A::Error> {
        let (mut bytes, mut is_coded) = (0, false);
        while let Some(Key(key)) = map.next_key()? {
            if NOT_READ.contains(&&*key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Weight = map.next_value()?;
            is_coded |= key == "type" && value.is_coded;
            bytes += key.len() as u64 + value.bytes;
        }
        Ok(Weight::of(if is_coded { TOKENS_OF_A_PICTURE * BYTES_PER_TOKEN } else { bytes }))
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(content: Value) -> u64 {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
        estimated(body.to_string().as_bytes())
    }

    /// What a message comes to without its content.
    const EMPTY: u64 = 4;

    #[test]
    fn text_has_a_token_for_four_bytes_wherever_it_stands() {
        assert_eq!(of(json!("")), EMPTY);
        assert_eq!(of(json!("word".repeat(1000))), EMPTY + 1000);
        assert_eq!(of(json!([{"type": "text", "text": "word".repeat(1000)}])), EMPTY + 1003);
        let body = json!({"system": "word".repeat(50), "metadata": {"user_id": "x".repeat(999)}});
        assert_eq!(estimated(body.to_string().as_bytes()), 50);
        let tools = json!({"tools": [{"name": "look", "input_schema": {"type": "object"}}]});
        assert_eq!(estimated(tools.to_string().as_bytes()), 8);
        assert_eq!(of(json!("\u{e9}\n\"\\".repeat(100))), EMPTY + 125, "as it is, not as written");
    }

    #[test]
    fn a_picture_or_a_file_is_not_counted_by_its_bytes_and_text_in_a_document_is() {
        let block = |kind: &str, source: Value| of(json!([{"type": kind, "source": source}]));
        let data = "A".repeat(1_000_000);
        for source in [
            json!({"type": "base64", "media_type": "image/png", "data": data}),
            json!({"data": data, "type": "base64"}),
            json!({"type": "url", "url": "https://example.com/a.png"}),
            json!({"type": "file", "file_id": "file_1"}),
        ] {
            let tokens = block("image", source);
            assert!((1_600..1_620).contains(&tokens), "{tokens}");
        }
        assert!(block("document", json!({"type": "text", "data": data})) > 250_000);
    }

    #[test]
    fn a_breakpoint_and_a_signature_have_no_tokens() {
        let mut block = json!({"type": "thinking", "thinking": "hm"});
        let plain = of(json!([block]));
        block["signature"] = json!("s".repeat(5000));
        block["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
        assert_eq!(of(json!([block])), plain);
    }

    #[test]
    fn what_cannot_be_looked_at_counts_by_its_size() {
        assert_eq!(estimated(b""), 0);
        assert_eq!(estimated(b"[1234567"), 2);
        let deep = format!("{{\"messages\":{}", "[".repeat(100_000));
        assert_eq!(estimated(deep.as_bytes()), (deep.len() as u64).div_ceil(4));
    }

    proptest! {
        #[test]
        fn more_text_never_has_fewer_tokens(text in ".{0,200}", more in ".{0,50}") {
            let longer = format!("{text}{more}");
            prop_assert!(of(json!(text)) <= of(json!(longer)));
        }
    }
}
