//! What has been said, and how the next turn is asked.

use std::collections::BTreeMap;

use polpo_agents::job::Question;
use polpo_agents::talk::without_thoughts;
use polpo_policy::id::SessionId;
use polpo_store::journal::{Journal, NewRun, Run};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::config::AgentConfig;
use crate::exit::Stop;

/// A conversation: its turns as the API told them, and what they are recorded as.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    messages: Vec<Value>,
    turns: u32,
    run: Option<Run>,
}

impl Conversation {
    /// What its calls are recorded for, if it has begun.
    pub(super) const fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// Begins it, if it has not begun.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) async fn begin(
        &mut self,
        journal: &dyn Journal,
        simulated: bool,
    ) -> Result<Run, Stop> {
        if let Some(run) = &self.run {
            return Ok(run.clone());
        }
        let (holder, now) = (std::process::id(), chrono::Utc::now());
        let started = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let new = NewRun {
            results_path: format!("chat:{started}:{holder}"),
            tasks_path: "chat".to_owned(),
            simulated,
            holder,
            now,
        };
        let run = journal.open_run(new).await.map_err(Stop::not_written)?;
        self.run = Some(run.clone());
        Ok(run)
    }

    /// What it is called, once it has begun.
    pub(super) fn session(&self) -> SessionId {
        self.run.as_ref().map_or_else(|| "chat".into(), |run| run.results_path.as_str().into())
    }

    /// The number of the next turn.
    pub(super) fn next(&mut self) -> u32 {
        self.turns += 1;
        self.turns
    }

    /// All that was said, and what is said now.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn question(&self, agent: &AgentConfig, said: &str) -> Result<Question, Stop> {
        let now = json!({"role": "user", "content": said});
        let messages: Vec<&Value> = self.messages.iter().chain([&now]).collect();
        // The API marks the end of the conversation, so that the next turn reads it from the cache.
        let cached = json!({"type": "ephemeral"});
        let mut fields = BTreeMap::from([
            ("messages".to_owned(), to_raw_value(&messages)),
            ("cache_control".to_owned(), to_raw_value(&cached)),
        ]);
        if let Some(system) = &agent.system_prompt {
            fields.insert("system".to_owned(), to_raw_value(system));
        }
        let fields = fields.into_iter().map(|(key, value)| Ok((key, value?)));
        Ok(Question {
            fields: fields.collect::<Result<_, serde_json::Error>>().map_err(Stop::usage)?,
            max_tokens: agent.max_tokens.into(),
            is_ours: true,
        })
    }

    /// Keeps a turn that was answered. The API takes no empty answer back, so that such a turn is as
    /// if it had not been.
    pub(super) fn keep(&mut self, said: &str, message: &Value) {
        if message["content"].as_array().is_none_or(Vec::is_empty) {
            return;
        }
        self.messages.push(json!({"role": "user", "content": said}));
        self.messages.push(json!({"role": "assistant", "content": message["content"]}));
    }

    /// Leaves out the model's thoughts so far: they are another organisation's.
    pub(super) fn forget_thoughts(&mut self) {
        if let Some(messages) = without_thoughts(&self.messages) {
            self.messages = messages;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Accounts, load};

    fn asked(conversation: &Conversation, agent: &AgentConfig) -> Value {
        let question = conversation.question(agent, "now").unwrap();
        serde_json::to_value(&question.fields).unwrap()
    }

    #[test]
    fn a_turn_is_asked_with_all_before_it_as_it_was_and_is_cached() {
        let mut config = load(None, Accounts::Simulated, &|_| None).unwrap();
        let agent = &mut config.agents[0];
        agent.system_prompt = Some("Be brief.".to_owned());
        let mut conversation = Conversation::default();
        let thought = json!({"type": "thinking", "thinking": "", "signature": "EqQB"});
        let content = json!([thought, {"type": "text", "text": "Hi."}]);
        conversation.keep("Hello", &json!({"content": content}));
        conversation.keep("Nothing", &json!({"content": []}));
        let user = |text: &str| json!({"role": "user", "content": text});
        let assistant = json!({"role": "assistant", "content": content});
        let expected = json!({
            "system": "Be brief.", "cache_control": {"type": "ephemeral"},
            "messages": [user("Hello"), assistant, user("now")],
        });
        assert_eq!(asked(&conversation, agent), expected);
        conversation.forget_thoughts();
        let content = asked(&conversation, agent)["messages"][1]["content"].clone();
        assert_eq!(content, json!([{"type": "text", "text": "Hi."}]));
    }
}
