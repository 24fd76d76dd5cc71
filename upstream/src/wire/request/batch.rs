//! A client's message batch: many requests in one body.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Malformed, Request};
use crate::wire::fields::{Fields, splice};

/// Requests in a batch, at the most: the API's own limit.
const MOST_REQUESTS: usize = 100_000;

/// A batch's body, and a view of the requests in it.
#[derive(Clone, Debug)]
pub struct Batch {
    body: Bytes,
    requests: Vec<Request>,
}

impl Batch {
    /// Takes a look at a body.
    ///
    /// # Errors
    /// When it is not a list of requests that each name a model, or is longer than the API takes.
    pub fn read(body: Bytes) -> Result<Self, Malformed> {
        let list = Fields::read(&body)?.get("requests");
        let list = list.ok_or(Malformed::Field("requests: Field required"))?;
        let List(items, count) = serde_json::from_str(list.get())
            .map_err(|_| Malformed::Field("requests: Input should be a valid list"))?;
        if count > MOST_REQUESTS {
            let most = format!("List should have at most {MOST_REQUESTS} items after validation");
            return Err(Malformed::Part(format!("requests: {most}, not {count}")));
        }
        let request = |(index, item)| request(&body, item, &format!("requests.{index}"));
        let requests = items.into_iter().enumerate().map(request);
        let requests = requests.collect::<Result<_, _>>()?;
        Ok(Self { body, requests })
    }

    /// The requests in it.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The body as it came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body with the models named by `name`, and every other byte as it came.
    #[must_use]
    pub fn body_for<'a>(&'a self, name: impl Fn(&'a str) -> &'a str) -> Bytes {
        let changes = self.requests.iter().filter_map(|request| {
            let name = name(&request.model);
            // Its body is a part of ours.
            let start = request.body.as_ptr() as usize - self.body.as_ptr() as usize;
            let at = start + request.model_at.start..start + request.model_at.end;
            (name != request.model).then(|| (at, serde_json::Value::from(name).to_string()))
        });
        splice(&self.body, &changes.collect::<Vec<_>>())
    }
}

/// One of the requests, which stands at `path`.
fn request(body: &Bytes, item: &RawValue, path: &str) -> Result<Request, Malformed> {
    let fields = Fields::read(item.get().as_bytes()).map_err(|none| at(path, none.into()))?;
    let params = fields.get("params");
    let params = params.ok_or_else(|| Malformed::Part(format!("{path}.params: Field required")))?;
    let params = body.slice_ref(params.get().as_bytes());
    Request::read(params).map_err(|malformed| at(&format!("{path}.params"), malformed))
}

fn at(path: &str, malformed: Malformed) -> Malformed {
    Malformed::Part(match malformed {
        // The JSON was read before.
        Malformed::Json(_) => format!("{path}: Input should be a valid dictionary"),
        other @ (Malformed::Twice(_)
        | Malformed::NoModel
        | Malformed::Field(_)
        | Malformed::Part(_)) => format!("{path}.{other}"),
    })
}

/// The items of a list, as they are written, and how many there are; what is too many is only
/// counted.
struct List<'a>(Vec<&'a RawValue>, usize);

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<'de>, A::Error> {
                let mut items = Vec::new();
                while items.len() < MOST_REQUESTS
                    && let Some(item) = list.next_element()?
                {
                    items.push(item);
                }
                let mut count = items.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(List(items, count))
            }
        }
        deserializer.deserialize_seq(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Batch, String> {
        let batch = Batch::read(Bytes::copy_from_slice(text.as_bytes()));
        batch.map_err(|malformed| malformed.to_string())
    }

    #[test]
    fn only_the_names_of_models_are_replaced_byte_for_byte() {
        let text = concat!(
            r#"{ "new":{"model":"a"}, "requests" : [ {"custom_id":"1","params": {"model" : "#,
            r#""claude-opus-4.5" ,"x":1.50e3,"messages":[{"content":"\u00e9 \"model\":\"a\""}]}},"#,
            "\n",
            r#" {"params":{"messages":[],"model":"claude-opus-5"},"custom_id":"2","extra":null}, "#,
            r#"{"params":{"model":"claude-opus-4.5","max_tokens":7}}] }"#,
        );
        let batch = read(text).unwrap();
        let models: Vec<_> = batch.requests().iter().map(|it| &*it.model).collect();
        assert_eq!(models, ["claude-opus-4.5", "claude-opus-5", "claude-opus-4.5"]);
        assert_eq!(batch.requests()[2].max_tokens, Some(7));
        let name = |model| if model == "claude-opus-4.5" { "claude-opus-4-5-\"x\"" } else { model };
        let expected = text.replace("\"claude-opus-4.5\"", r#""claude-opus-4-5-\"x\"""#);
        assert_eq!(batch.body_for(name), expected.as_bytes());
        assert_eq!(batch.body_for(|model| model).as_ptr(), batch.body().as_ptr());
    }

    #[test]
    fn what_is_no_batch_is_told_where() {
        for (text, told) in [
            ("{", "The request body is not valid JSON: EOF"),
            ("{}", "requests: Field required"),
            (r#"{"requests":{}}"#, "requests: Input should be a valid list"),
            (r#"{"requests":[1]}"#, "requests.0: Input should be a valid dictionary"),
            (
                r#"{"requests":[{"params":[]}]}"#,
                "requests.0.params: Input should be a valid dictionary",
            ),
            (r#"{"requests":[{}]}"#, "requests.0.params: Field required"),
            (r#"{"requests":[{"params":{}}]}"#, "requests.0.params.model: Field required"),
            (
                r#"{"requests":[{"params":{"model":"a"}},{"params":{"model":"a","model":"b"}}]}"#,
                "requests.1.params.model: the key is there twice",
            ),
            (
                r#"{"requests":[{"params":{"model":"a"},"params":{"model":"b"}}]}"#,
                "requests.0.params: the key is there twice",
            ),
            (r#"{"requests":[],"requests":[]}"#, "requests: the key is there twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
        assert!(read(r#"{"requests":[]}"#).unwrap().requests().is_empty(), "the API refuses it");
    }

    #[test]
    fn a_hundred_thousand_requests_are_a_batch_and_one_more_are_not() {
        let of = |count: usize| {
            let body = format!("{{\"requests\":[{}]}}", vec!["{}"; count].join(","));
            read(&body).unwrap_err()
        };
        assert_eq!(of(100_000), "requests.0.params: Field required");
        let told = "requests: List should have at most 100000 items after validation, not 100002";
        assert_eq!(of(100_002), told);
    }
}
