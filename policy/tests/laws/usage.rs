//! What a stream says it used, however it says it.

use polpo_policy::usage::{Terms, Usage, UsageReport};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The fields of a report; those with a dot lie in an object of their own.
const FIELDS: [&str; 7] = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "server_tool_use.web_search_requests",
];
const WORDS: [(&str, &str); 3] =
    [("service_tier", "batch"), ("inference_geo", "us"), ("speed", "fast")];

fn report(fields: &[(&str, Value)]) -> UsageReport {
    let mut object = Map::new();
    for (name, value) in fields {
        match name.split_once('.') {
            Some((outer, inner)) => {
                object.entry(outer).or_insert_with(|| json!({}))[inner] = value.clone();
            }
            None => drop(object.insert((*name).to_owned(), value.clone())),
        }
    }
    serde_json::from_value(Value::Object(object)).expect("it is a report")
}

/// A field of a report, with a count, a word or null.
fn field() -> impl Strategy<Value = (&'static str, Value)> {
    let count = prop_oneof![
        1 => Just(Value::Null),
        2 => Just(json!(0)),
        4 => (1..1000_u64).prop_map(|count| json!(count)),
    ];
    let word = |(name, word): (&'static str, &'static str)| {
        prop_oneof![Just(Value::Null), Just(json!("standard")), Just(json!(word))]
            .prop_map(move |value| (name, value))
    };
    prop_oneof![
        3 => (prop::sample::select(FIELDS.as_slice()), count),
        1 => prop::sample::select(WORDS.as_slice()).prop_flat_map(word),
    ]
}

proptest! {
    #[test]
    fn the_last_word_on_each_field_counts_however_the_reports_are_cut(
        fields in prop::collection::vec(field(), 0..30),
        cuts in prop::collection::vec(any::<bool>(), 30),
    ) {
        let mut merged = UsageReport::default();
        let mut part: Vec<(&str, Value)> = Vec::new();
        for (field, cut) in fields.iter().zip(cuts) {
            let is_there = part.iter().any(|(name, _)| *name == field.0);
            if cut || is_there {
                merged.merge(report(&std::mem::take(&mut part)));
            }
            part.push(field.clone());
        }
        merged.merge(report(&part));
        let last = |name: &str| {
            let said = fields.iter().rfind(|(it, value)| *it == name && !value.is_null());
            said.map(|(_, value)| value.clone())
        };
        let count = |name: &str| last(name).and_then(|value| value.as_u64()).unwrap_or(0);
        let long = count("cache_creation.ephemeral_1h_input_tokens");
        let short = count("cache_creation.ephemeral_5m_input_tokens");
        let expected = Usage {
            input: count("input_tokens"),
            output: count("output_tokens"),
            cache_read: count("cache_read_input_tokens"),
            cache_write_5m: short.max(count("cache_creation_input_tokens").saturating_sub(long)),
            cache_write_1h: long,
            web_searches: count("server_tool_use.web_search_requests"),
        };
        prop_assert_eq!(merged.usage(), expected);
        let [batch, us_only, fast] = WORDS.map(|(name, word)| last(name) == Some(json!(word)));
        prop_assert_eq!(merged.terms(), Terms { batch, us_only, fast });
    }
}
