//! A conversation as whoever talks to an agent keeps it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use polpo_agents::job::Question;
use polpo_agents::talk::{Delta, Talked, Turn, without_thoughts};
use polpo_policy::model::ModelSpec;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::world::{World, spec};

/// A conversation.
pub(crate) struct Conversation {
    pub(crate) name: String,
    pub(crate) model: ModelSpec,
    pub(crate) fallbacks: Vec<ModelSpec>,
    pub(crate) messages: Vec<Value>,
    pub(crate) wait: Option<TimeDelta>,
}

impl Conversation {
    pub(crate) fn new(model: &str, fallbacks: &[&str]) -> Self {
        Self {
            name: "one".to_owned(),
            model: spec(model),
            fallbacks: fallbacks.iter().map(|model| spec(model)).collect(),
            messages: Vec::new(),
            wait: Some(TimeDelta::seconds(60)),
        }
    }

    /// The next turn, and where it is heard.
    pub(crate) fn turn(&mut self, world: &World, text: &str) -> (Turn, mpsc::Receiver<Delta>) {
        self.messages.push(json!({"role": "user", "content": text}));
        let (deltas, heard) = mpsc::channel(4);
        let fields = json!({"messages": self.messages, "cache_control": {"type": "ephemeral"}});
        let fields: BTreeMap<String, Value> = serde_json::from_value(fields).unwrap();
        let fields = fields.into_iter().map(|(key, value)| (key, to_raw_value(&value).unwrap()));
        let turn = Turn {
            run: world.run_id(),
            id: format!("{}-{}", self.name, self.messages.len()),
            session: self.name.as_str().into(),
            model: self.model.clone(),
            fallbacks: self.fallbacks.clone(),
            question: Question { fields: fields.collect(), max_tokens: 1000, is_ours: true },
            deadline: self.wait.map(|wait| world.clock.now() + wait),
            deltas,
        };
        (turn, heard)
    }

    /// Says something, and keeps what is answered.
    pub(crate) async fn say(&mut self, world: &World, text: &str) -> (Talked, Vec<Delta>) {
        let (turn, mut heard) = self.turn(world, text);
        let listening = async {
            let mut deltas = Vec::new();
            while let Some(delta) = heard.recv().await {
                deltas.push(delta);
            }
            deltas
        };
        let (talked, deltas) = tokio::join!(world.talk("agent", turn), listening);
        if talked.has_forgotten {
            self.messages = without_thoughts(&self.messages).unwrap();
        }
        match &talked.result {
            Ok(message) => {
                let answer = json!({"role": "assistant", "content": message["content"]});
                self.messages.push(answer);
            }
            Err(_) => drop(self.messages.pop()),
        }
        (talked, deltas)
    }
}
