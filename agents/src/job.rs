//! A task as an agent gets it, and what comes of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use polpo_policy::expect::Expectation;
use polpo_policy::id::{ModelName, ProfileId};
use polpo_policy::limits::Timestamp;
use polpo_policy::model::{Catalogue, ModelSpec};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::RunId;
use polpo_upstream::wire::problem::Problem;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::talk::Why;

/// One task.
#[derive(Debug)]
pub struct Job {
    /// The run it belongs to.
    pub run: RunId,
    /// Its id in the task file.
    pub id: String,
    /// The model to ask first.
    pub model: ModelSpec,
    /// What to ask.
    pub question: Question,
    /// What the answer must fulfil.
    pub expectation: Option<Expectation>,
    /// What earlier processes have spent on it.
    pub carried: Spent,
}

/// What a task asks for.
#[derive(Debug)]
pub struct Question {
    /// The fields of the request's body, each as it was written.
    pub fields: BTreeMap<String, Box<RawValue>>,
    /// The room for an answer of the first attempt.
    pub max_tokens: u64,
    /// Whether the agent may add to it: turns, room, fallbacks, escalation. The user's own request
    /// is sent word for word but for `model` and `stream`.
    pub is_ours: bool,
}

/// What calls have used and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many calls.
    pub calls: u32,
    /// What they used.
    pub usage: Usage,
    /// What they cost, lost ones at their reservation.
    pub cost: Nanodollars,
}

/// What came of a task.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Attempts begun.
    pub attempts: u32,
    /// All its calls, those of earlier processes included.
    pub spent: Spent,
    /// The model of the last call.
    pub model: Option<ModelName>,
    /// The profile of the last call.
    pub profile: Option<ProfileId>,
    /// The model that was wanted of the last call, and why it had its model and its profile.
    pub why: Option<(ModelName, Why)>,
    /// The model before escalation, if it was escalated.
    pub escalated_from: Option<ModelName>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// How a task ended.
#[derive(Debug)]
pub enum Ending {
    /// With this message.
    Succeeded(Value),
    /// Without a good one.
    Errored {
        /// The error to report.
        problem: Problem,
        /// Why, in a word from a closed set.
        reason: &'static str,
        /// The best answer that was paid for.
        last_message: Option<Value>,
    },
    /// Not at all: no profile can serve it, and none has a known return.
    Pending,
    /// Not at all: the journal could not be written, so nothing may be sent.
    Unrecorded(String),
}

/// A failed answer and what was wrong with it, to be shown to the model.
#[derive(Clone, Debug)]
pub(crate) struct Correction {
    pub(crate) answer: String,
    pub(crate) diagnosis: String,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl Question {
    /// The API version whose rules the question fits: sampling parameters are refused by the
    /// newer one.
    #[must_use]
    pub fn version(&self) -> &'static str {
        let samples = ["temperature", "top_p", "top_k"];
        let does_sample = samples.iter().any(|key| self.fields.contains_key(*key));
        if does_sample { "2023-06-01" } else { "2026-10-21" }
    }

    /// About how many bytes the body of a call has.
    pub(crate) fn bytes(&self, corrections: &[Correction]) -> u64 {
        let own: usize = self.fields.iter().map(|(key, value)| key.len() + value.get().len()).sum();
        let added = corrections.iter().map(|it| it.answer.len() + it.diagnosis.len());
        (own + added.sum::<usize>()) as u64
    }

    /// The body of a call: the prompt unchanged, and after it each failed answer and what was
    /// wrong with it.
    pub(crate) fn body(
        &self,
        model: &ModelName,
        max_tokens: u64,
        corrections: &[Correction],
    ) -> Result<Bytes, serde_json::Error> {
        let limit = Catalogue::get().find(model.as_str()).map(|info| info.max_output_tokens);
        let max_tokens = to_raw_value(&limit.map_or(max_tokens, |limit| max_tokens.min(limit)))?;
        let (name, stream) = (to_raw_value(model)?, to_raw_value(&true)?);
        let mut body: BTreeMap<&str, &RawValue> =
            self.fields.iter().map(|(key, value)| (key.as_str(), &**value)).collect();
        body.insert("model", &name);
        body.insert("stream", &stream);
        let messages;
        if self.is_ours {
            body.insert("max_tokens", &max_tokens);
            messages = self.messages(corrections)?;
            body.insert("messages", &messages);
        }
        serde_json::to_vec(&body).map(Bytes::from)
    }

    fn messages(&self, corrections: &[Correction]) -> Result<Box<RawValue>, serde_json::Error> {
        let own = self.fields.get("messages").map_or("[]", |raw| raw.get());
        let mut messages: Vec<Box<RawValue>> = serde_json::from_str(own)?;
        for Correction { answer, diagnosis } in corrections {
            let answer = answer.trim_end();
            if !answer.is_empty() {
                messages.push(to_raw_value(&Message { role: "assistant", content: answer })?);
            }
            messages.push(to_raw_value(&Message { role: "user", content: diagnosis })?);
        }
        to_raw_value(&messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_keeps_the_prompt_and_appends_answer_and_diagnosis() {
        let text = r#"{"system":"be brief","messages":[{"role":"user","content":"2+2?"}]}"#;
        let fields = serde_json::from_str(text).unwrap();
        let question = Question { fields, max_tokens: 99_999, is_ours: true };
        let corrections = [
            Correction { answer: "5 ".into(), diagnosis: "no".into() },
            Correction { answer: String::new(), diagnosis: "empty".into() },
        ];
        let body = question.body(&"claude-opus-4-5-20251101".into(), 99_999, &corrections).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "model": "claude-opus-4-5-20251101", "max_tokens": 64_000, "stream": true,
                "system": "be brief",
                "messages": [
                    {"role": "user", "content": "2+2?"},
                    {"role": "assistant", "content": "5"},
                    {"role": "user", "content": "no"},
                    {"role": "user", "content": "empty"},
                ]
            })
        );
    }

    #[test]
    fn of_the_users_own_request_only_model_and_stream_are_touched() {
        let text = r#"{"max_tokens":5,"temperature":1.50,"new_field":{"a":  1e3}}"#;
        let fields = serde_json::from_str(text).unwrap();
        let question = Question { fields, max_tokens: 5, is_ours: false };
        let body = question.body(&"claude-opus-5".into(), 5, &[]).unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"max_tokens":5,"model":"claude-opus-5","new_field":{"a":  1e3},"stream":true,"temperature":1.50}"#
        );
        assert_eq!(question.version(), "2023-06-01");
    }
}
