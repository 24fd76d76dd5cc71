//! What the API tells of a message batch, and the lines of its results.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Fields, place, splice};
use crate::meter::Meter;

/// A message batch as the API writes it.
#[derive(Debug)]
pub struct Told {
    object: Bytes,
    /// Its id.
    pub id: String,
    /// Whether all of its requests are done with.
    pub has_ended: bool,
    /// How many of them have an answer, once it has ended.
    pub succeeded: u64,
}

#[derive(Deserialize)]
struct Object<'a> {
    id: String,
    r#type: &'a str,
    processing_status: &'a str,
    request_counts: Counts,
}

#[derive(Deserialize)]
struct Counts {
    succeeded: u64,
}

impl Told {
    /// Reads the body of an answer, unless it is no batch.
    #[must_use]
    pub fn read(object: Bytes) -> Option<Self> {
        let Object { id, r#type, processing_status, request_counts } =
            serde_json::from_slice(&object).ok()?;
        let has_ended = processing_status == "ended";
        let succeeded = request_counts.succeeded;
        (r#type == "message_batch").then_some(Self { object, id, has_ended, succeeded })
    }

    /// The object as it came.
    #[must_use]
    pub fn object(&self) -> &str {
        str::from_utf8(&self.object).unwrap_or_default()
    }

    /// The object with its results at another URL, if there are any, and every other byte as it came.
    #[must_use]
    pub fn with_results_at(&self, url: &str) -> Bytes {
        let fields = Fields::read(&self.object).ok();
        let given = fields.and_then(|fields| fields.get("results_url"));
        let change = given
            .filter(|given| given.get() != "null")
            .map(|given| (place(&self.object, given), serde_json::Value::from(url).to_string()));
        splice(&self.object, change.as_slice())
    }
}

/// What became of a request of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// It has an answer, with these figures.
    Succeeded(Box<Meter>),
    /// It has none, and so costs nothing.
    Unserved,
    /// Nobody can say.
    Unreadable,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    result: Result<'a>,
}

#[derive(Deserialize)]
struct Result<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

impl Outcome {
    /// Reads a line of the results.
    #[must_use]
    pub fn read(line: &[u8]) -> Self {
        let Ok(Line { result }) = serde_json::from_slice(line) else { return Self::Unreadable };
        match (result.r#type, result.message) {
            ("errored" | "canceled" | "expired", _) => Self::Unserved,
            ("succeeded", Some(message)) => {
                let mut meter = Box::<Meter>::default();
                meter.observe_message(message.get().as_bytes());
                if meter.has_totals() { Self::Succeeded(meter) } else { Self::Unreadable }
            }
            _ => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: &str = concat!(
        r#"{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","request_counts":"#,
        r#"{"succeeded":2,"errored":1}, "new":[1.0],"results_url" : "https://up/v1/x/results"}"#,
    );

    #[test]
    fn only_the_url_of_the_results_is_replaced_byte_for_byte() {
        let told = Told::read(Bytes::from_static(ENDED.as_bytes())).unwrap();
        assert_eq!((&*told.id, told.has_ended, told.succeeded), ("msgbatch_1", true, 2));
        let expected = ENDED.replace("https://up/v1/x/results", "http://here/results");
        assert_eq!(told.with_results_at("http://here/results"), expected.as_bytes());
        assert_eq!(told.object(), ENDED);

        let open =
            ENDED.replace("\"https://up/v1/x/results\"", "null").replace("ended", "canceling");
        let told = Told::read(Bytes::from(open.clone())).unwrap();
        assert!(!told.has_ended);
        assert_eq!(told.with_results_at("http://here/results"), open.as_bytes());
    }

    #[test]
    fn what_is_no_batch_is_none() {
        for text in ["", "{}", "<html>", &ENDED.replace("message_batch", "message"), "[1]"] {
            assert!(Told::read(Bytes::copy_from_slice(text.as_bytes())).is_none(), "{text}");
        }
    }

    #[test]
    fn only_answers_have_figures_and_an_answer_without_them_cannot_be_read() {
        let of = |result: &str| {
            let line = format!(r#"{{"custom_id":"a","result":{result}}}"#);
            match Outcome::read(line.as_bytes()) {
                Outcome::Succeeded(meter) => meter.usage().usage().output.to_string(),
                Outcome::Unserved => "unserved".to_owned(),
                Outcome::Unreadable => "unreadable".to_owned(),
            }
        };
        let message = r#"{"model":"claude-opus-5","usage":{"input_tokens":5,"output_tokens":7}}"#;
        assert_eq!(of(&format!(r#"{{"type":"succeeded","message":{message}}}"#)), "7");
        for unserved in [r#"{"type":"errored","error":{}}"#, r#"{"type":"canceled"}"#] {
            assert_eq!(of(unserved), "unserved");
        }
        for unreadable in [r#"{"type":"succeeded"}"#, r#"{"type":"succeeded","message":{}}"#, "1"] {
            assert_eq!(of(unreadable), "unreadable", "{unreadable}");
        }
    }
}
