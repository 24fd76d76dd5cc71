//! A batch as it is submitted: what is refused at once, and what only when it runs.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::draw::{Digest, Draws, sha256};
use crate::limiter::Caller;
use crate::problem::Problem;
use crate::request::{Checked, Rules, wrong};

/// Most requests in a batch.
const MAX_REQUESTS: usize = 100_000;

/// Longest `custom_id`.
const MAX_ID_CHARS: usize = 64;

/// What the line of a result is taken to weigh before it is there: twice what a usual one does.
const LINE_BYTES: usize = 2 * 1024;

/// Fields of a message that no request of a batch may have.
const NOT_IN_A_BATCH: [&str; 5] =
    ["speed", "store", "previous_thread_event_id", "cache_hint", "context_hint"];

/// A request of a batch that has not run yet.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) custom_id: String,
    /// The JSON as it came: a fraction of its size parsed.
    params: Box<RawValue>,
}

impl Item {
    /// About what it takes to keep it and what becomes of it.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.custom_id.len() + self.params.get().len() + LINE_BYTES
    }

    /// The parameters, if they may be in a batch at all.
    pub(super) fn params(&self) -> Checked<Value> {
        let params: Value = serde_json::from_str(self.params.get())
            .map_err(|error| Problem::invalid(format!("params: {error}")))?;
        let given = |name: &str| params.get(name).is_some_and(|value| !value.is_null());
        let unsupported = if params.get("stream") == Some(&Value::Bool(true)) {
            Some("stream=True")
        } else {
            NOT_IN_A_BATCH.into_iter().find(|name| given(name))
        };
        if let Some(name) = unsupported {
            let message = format!("\"{name}\" is not supported in the Message Batches API");
            return Err(Problem::invalid(message));
        }
        if params.get("max_tokens").and_then(Value::as_u64) == Some(0) {
            return wrong("max_tokens", "must be greater than or equal to 1");
        }
        Ok(params)
    }
}

/// A batch that may be created: all that takes long is done before anything is locked.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(super) caller: Caller,
    pub(super) rules: Rules,
    /// SHA-256 of the body and the workspace.
    pub(super) contents: Digest,
    /// In the order in which they run, which is not that of the body.
    pub(super) items: Vec<Item>,
}

impl Submission {
    pub(crate) fn read(seed: u64, caller: Caller, rules: Rules, body: &[u8]) -> Checked<Self> {
        let items = read(body)?;
        let workspace = (caller.workspace as u64).to_le_bytes();
        let contents = sha256(&[sha256(body).as_slice(), &workspace].concat());
        let draws = Draws::new(seed, &contents, "order", 0);
        let mut drawn: Vec<_> = (0..).map(|nth| draws.bits("order", nth)).zip(items).collect();
        drawn.sort_by_key(|(order, _)| *order);
        let items = drawn.into_iter().map(|(_, item)| item).collect();
        Ok(Self { caller, rules, contents, items })
    }
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Reads the body of a creation: ids must be in order, parameters are looked at when they run.
fn read(body: &[u8]) -> Checked<Vec<Item>> {
    let body: Fields<'_> = serde_json::from_slice(body).map_err(|error| {
        Problem::invalid(if error.is_data() {
            "Input should be a valid dictionary".to_owned()
        } else {
            format!("The request body is not valid JSON: {error}")
        })
    })?;
    let requests = required(&body, "", "requests")?;
    let requests: Vec<&RawValue> = typed(requests, "requests", "list")?;
    only(&body, "", &["requests"])?;
    match requests.len() {
        0 => return wrong("requests", "List should have at least 1 item after validation, not 0"),
        1..=MAX_REQUESTS => {}
        count => {
            let complaint = format!(
                "List should have at most {MAX_REQUESTS} items after validation, not {count}"
            );
            return wrong("requests", &complaint);
        }
    }
    let items: Vec<_> = requests.into_iter().enumerate().map(item).collect::<Checked<_>>()?;
    let mut ids = HashSet::with_capacity(items.len());
    match items.iter().find(|item| !ids.insert(item.custom_id.as_str())) {
        None => Ok(items),
        Some(Item { custom_id, .. }) => {
            let complaint = format!(
                "custom_id's must be unique within a batch. Duplicate custom_id found: {custom_id}"
            );
            wrong("requests", &complaint)
        }
    }
}

fn item((index, request): (usize, &RawValue)) -> Checked<Item> {
    let path = format!("requests.{index}");
    let request: Fields<'_> = typed(request, &path, "dictionary")?;
    let prefix = format!("{path}.");
    let id_path = format!("{prefix}custom_id");
    let custom_id: String = typed(required(&request, &prefix, "custom_id")?, &id_path, "string")?;
    let params = required(&request, &prefix, "params")?;
    only(&request, &prefix, &["custom_id", "params"])?;
    if custom_id.chars().count() > MAX_ID_CHARS {
        let complaint = format!("String should have at most {MAX_ID_CHARS} characters");
        return wrong(&id_path, &complaint);
    }
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if custom_id.is_empty() || !custom_id.bytes().all(is_plain) {
        return wrong(&id_path, "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'");
    }
    if !params.get().starts_with('{') {
        return wrong(&format!("{prefix}params"), "Input should be a valid dictionary");
    }
    Ok(Item { custom_id, params: params.to_owned() })
}

fn required<'a>(fields: &Fields<'a>, prefix: &str, name: &str) -> Checked<&'a RawValue> {
    match fields.get(name) {
        Some(value) => Ok(value),
        None => wrong(&format!("{prefix}{name}"), "Field required"),
    }
}

fn typed<'a, T: Deserialize<'a>>(value: &'a RawValue, path: &str, kind: &str) -> Checked<T> {
    serde_json::from_str(value.get())
        .or_else(|_| wrong(path, &format!("Input should be a valid {kind}")))
}

fn only(fields: &Fields<'_>, prefix: &str, known: &[&str]) -> Checked<()> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(extra) => wrong(&format!("{prefix}{extra}"), "Extra inputs are not permitted"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(body: &Value) -> String {
        read(body.to_string().as_bytes()).unwrap_err().message
    }

    #[test]
    fn a_batch_that_cannot_be_told_apart_is_refused_in_the_words_of_the_api() {
        let one = |id: Value| json!({"requests": [{"custom_id": id, "params": {}}]});
        let pattern = "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'";
        for (body, message) in [
            (json!([]), "Input should be a valid dictionary"),
            (json!({}), "requests: Field required"),
            (json!({"requests": {}}), "requests: Input should be a valid list"),
            (
                json!({"requests": []}),
                "requests: List should have at least 1 item after validation, not 0",
            ),
            (json!({"requests": [1]}), "requests.0: Input should be a valid dictionary"),
            (json!({"requests": [{"params": {}}]}), "requests.0.custom_id: Field required"),
            (json!({"requests": [{"custom_id": "a"}]}), "requests.0.params: Field required"),
            (
                json!({"requests": [{"custom_id": "a", "params": []}]}),
                "requests.0.params: Input should be a valid dictionary",
            ),
            (
                json!({"requests": [{"custom_id": "a", "params": {}, "url": "/"}]}),
                "requests.0.url: Extra inputs are not permitted",
            ),
            (one(json!(1)), "requests.0.custom_id: Input should be a valid string"),
            (one(json!("")), pattern),
            (one(json!("a b")), pattern),
            (one(json!("ä")), pattern),
            (
                one(json!("a".repeat(65))),
                "requests.0.custom_id: String should have at most 64 characters",
            ),
            (
                json!({"requests": [{"custom_id": "a", "params": {}}, {"custom_id": "a", "params": {}}]}),
                "requests: custom_id's must be unique within a batch. Duplicate custom_id found: a",
            ),
        ] {
            assert_eq!(refusal(&body), message);
        }
        let broken = read(b"{\"requests\": [").unwrap_err().message;
        assert!(broken.starts_with("The request body is not valid JSON: "), "{broken}");
        assert_eq!(read(one(json!("a".repeat(64))).to_string().as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn a_hundred_thousand_requests_are_a_batch_and_one_more_are_not() {
        let refusal = |count: usize| {
            let body = format!("{{\"requests\":[{}]}}", vec!["{}"; count].join(","));
            read(body.as_bytes()).unwrap_err().message
        };
        assert_eq!(refusal(100_000), "requests.0.custom_id: Field required");
        assert_eq!(
            refusal(100_001),
            "requests: List should have at most 100000 items after validation, not 100001"
        );
    }

    #[test]
    fn what_no_batch_supports_is_found_when_the_request_runs() {
        let params = |params: Value| {
            let body = json!({"requests": [{"custom_id": "a", "params": params}]});
            let items = read(body.to_string().as_bytes()).unwrap();
            items[0].params().map_err(|problem| problem.message)
        };
        let refused =
            |name: &str| format!("\"{name}\" is not supported in the Message Batches API");
        assert_eq!(params(json!({"stream": true})), Err(refused("stream=True")));
        for name in NOT_IN_A_BATCH {
            assert_eq!(params(json!({name: "x"})), Err(refused(name)));
            assert!(params(json!({name: null})).is_ok());
        }
        let complaint = "max_tokens: must be greater than or equal to 1".to_owned();
        assert_eq!(params(json!({"max_tokens": 0})), Err(complaint));
        let fine = json!({"max_tokens": 1, "stream": false, "anything": "else"});
        assert_eq!(params(fine.clone()), Ok(fine));
    }
}
