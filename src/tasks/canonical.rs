//! One hash for all the ways to write the same JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::words::Text;

/// Deeper JSON is taken as it is written, so that a hostile line cannot exhaust the stack.
const DEPTH_MAX: usize = 128;

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The SHA-256 of a JSON text, as hex: keys sorted at every level, no blanks, strings without needless
/// escapes, numbers as written (so that none loses a digit).
pub(super) fn sha256(json: &str) -> String {
    let mut hash = Sha256::new();
    feed(json, 0, &mut hash);
    let digest: [u8; 32] = hash.finalize().into();
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn feed(json: &str, depth: usize, hash: &mut Sha256) {
    let known = match json.as_bytes().first() {
        Some(b'{') if depth < DEPTH_MAX => object(json, depth, hash),
        Some(b'[') if depth < DEPTH_MAX => array(json, depth, hash),
        Some(b'"') => serde_json::from_str(json).ok().map(|Text(text)| string(&text, hash)),
        Some(_) | None => None,
    };
    if known.is_none() {
        hash.update(json);
    }
}

fn object(json: &str, depth: usize, hash: &mut Sha256) -> Option<()> {
    let fields: BTreeMap<Key<'_>, &RawValue> = serde_json::from_str(json).ok()?;
    hash.update("{");
    for (Key(key), value) in fields {
        string(&key, hash);
        hash.update(":");
        feed(value.get(), depth + 1, hash);
        hash.update(",");
    }
    hash.update("}");
    Some(())
}

fn array(json: &str, depth: usize, hash: &mut Sha256) -> Option<()> {
    let values: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    hash.update("[");
    for value in values {
        feed(value.get(), depth + 1, hash);
        hash.update(",");
    }
    hash.update("]");
    Some(())
}

/// A string with its length before it, which needs no escapes to be unambiguous.
fn string(text: &str, hash: &mut Sha256) {
    hash.update("\"");
    hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_blanks_and_escapes_do_not_matter() {
        assert_eq!(
            sha256(r#"{"a":[1,{"x":"é","y":null}],"b":true}"#),
            sha256("{ \"b\" : true,\n \"\\u0061\" : [ 1 , {\"y\":null,\"x\":\"\\u00e9\"} ] }"),
        );
    }

    #[test]
    fn every_difference_in_meaning_matters() {
        let texts = [
            r#"{"a":"1"}"#,
            r#"{"a":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[12]}"#,
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":null}"#,
            r#"{"b":1}"#,
            r#"{"a":"\\u00e9"}"#,
            r#"{"a":"\u00e9"}"#,
            r#"{"a":18446744073709551617}"#,
            r#"{"a":18446744073709551616}"#,
            r#"["a",1]"#,
            r#"["a:1"]"#,
            r#""\ud800""#,
        ];
        let hashes: std::collections::BTreeSet<String> = texts.map(sha256).into();
        assert_eq!(hashes.len(), texts.len());
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = "[".repeat(20_000) + &"]".repeat(20_000);
        assert_eq!(sha256(&deep).len(), 64);
    }
}
