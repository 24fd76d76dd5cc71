//! From a JSON path to the place in the text.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::path::Step;

/// A key, borrowed where it can be.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The offset of the value that `steps` lead to, or of the last one on the way that is there.
pub(super) fn locate(json: &str, steps: &[Step]) -> usize {
    let (mut rest, mut at) = (json, json.len() - json.trim_start().len());
    for step in steps {
        let Some(inner) = enter(rest, step) else { break };
        // `inner` is a part of `json`: the parser borrows.
        at = inner.as_ptr().addr() - json.as_ptr().addr();
        rest = inner;
    }
    at
}

fn enter<'a>(json: &'a str, step: &Step) -> Option<&'a str> {
    let raw = match step {
        Step::Index(index) => {
            serde_json::from_str::<Vec<&RawValue>>(json).ok()?.get(*index).copied()?
        }
        Step::Key(key) => {
            let fields = serde_json::from_str::<HashMap<Key<'_>, &RawValue>>(json).ok()?;
            fields.get(&Key(key.as_str().into())).copied()?
        }
    };
    Some(raw.get())
}

/// The offset of a parser's line and column, both counted from 1, the column in bytes.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// The line and the character in it at an offset, both counted from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_value_and_a_missing_one_to_what_is_there() {
        let json = "{\"a\": [1,\n  {\"b\": \"x\"}]}";
        let steps = [Step::Key("a".into()), Step::Index(1), Step::Key("b".into())];
        assert_eq!(&json[locate(json, &steps)..][..3], "\"x\"");
        assert_eq!(position(json, locate(json, &steps)), (2, 9));
        let missing = [Step::Key("a".into()), Step::Index(7)];
        assert_eq!(&json[locate(json, &missing)..][..2], "[1");
    }

    #[test]
    fn columns_count_characters_and_the_last_byte_is_in_reach() {
        assert_eq!(position("é\nöä=", 7), (2, 3));
        assert_eq!(position("é\nöä=", 8), (2, 4));
        assert_eq!(offset_of("ab\ncd", 2, 2), 4);
        assert_eq!(offset_of("ab\ncd", 9, 9), 5);
    }
}
