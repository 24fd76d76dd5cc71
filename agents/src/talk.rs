//! A turn of a conversation: one question, whose answer is heard while it comes.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use polpo_policy::failure::{Failure, is_foreign_thought};
use polpo_policy::id::{AgentId, ProfileId, SessionId};
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::Refusal;
use polpo_store::journal::RunId;
use polpo_upstream::wire::assemble::Fragment;
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::agent::{AgentSpec, Desk, Story};
use crate::ask::{Ask, Unanswered, ended, fail_over};
use crate::job::{Question, Spent};

/// A turn of a conversation.
#[derive(Debug)]
pub struct Turn {
    /// The run that its calls are recorded for.
    pub run: RunId,
    /// What it is called in the journal.
    pub id: String,
    /// The agent's name for the conversation. Its turns go to the profile that has its prompt cache,
    /// if they can.
    pub session: SessionId,
    /// The model to ask first, in each turn anew. If it is pinned, no other profile is asked for it.
    pub model: ModelSpec,
    /// The models to ask when that cannot be served, in order.
    pub fallbacks: Vec<ModelSpec>,
    /// What is asked: the whole conversation.
    pub question: Question,
    /// Until when it may wait for a profile.
    pub deadline: Option<Timestamp>,
    /// Where what the model says goes as it comes. Dropping the other end cancels the turn, and
    /// what it has cost by then is still recorded.
    pub deltas: mpsc::Sender<Delta>,
}

/// A piece of what the model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Of the answer.
    Text(String),
    /// Of a thought.
    Thinking(String),
}

impl Delta {
    /// Its length in bytes.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Thinking(text) => text.len(),
        }
    }
}

impl From<Fragment<'_>> for Delta {
    fn from(fragment: Fragment<'_>) -> Self {
        match fragment {
            Fragment::Text(text) => Self::Text(text.into_owned()),
            Fragment::Thinking(text) => Self::Thinking(text.into_owned()),
        }
    }
}

/// What came of a turn.
#[derive(Debug)]
pub struct Talked {
    /// The message as the API told it, or why there is none.
    pub result: Result<Value, Unsaid>,
    /// All its calls.
    pub spent: Spent,
    /// Who was asked last.
    pub served: Option<Served>,
    /// Whether the thoughts of earlier turns were left out, because they are another
    /// organisation's: later turns must leave them out as well.
    pub has_forgotten: bool,
}

/// Who was asked, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The model.
    pub model: ModelSpec,
    /// The profile.
    pub profile: ProfileId,
    /// Why these.
    pub why: Why,
}

/// Why a turn has the model and the profile that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model was asked for, and the profile's turn had come.
    Requested,
    /// Both were asked for.
    Pinned,
    /// The profile has the conversation's prompt cache.
    Home,
    /// The model that was asked for cannot be served.
    Fallback {
        /// What keeps it from that, in a word from a closed set.
        reason: &'static str,
        /// Until when, as far as it is known.
        until: Option<Timestamp>,
    },
}

/// Why a turn has no message.
#[derive(Debug)]
pub enum Unsaid {
    /// Upstream refused it, or failed.
    Failed {
        /// What it said.
        problem: Problem,
        /// What that means.
        failure: Failure,
        /// Whether a part of the answer had come.
        is_cut: bool,
    },
    /// It got no profile.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Why the last one it had did not serve it.
        last: Option<Problem>,
    },
    /// The journal could not be written, so nothing may be sent.
    Unrecorded(String),
    /// Nobody listens any more.
    Cancelled,
    /// We failed.
    Panicked,
}

impl From<Unanswered> for Unsaid {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Failed { problem, failure, is_cut } => {
                Self::Failed { problem, failure, is_cut }
            }
            Unanswered::Refused(refusal, last) => Self::Refused { refusal, last },
            Unanswered::Unrecorded(why) => Self::Unrecorded(why),
            Unanswered::Cancelled => Self::Cancelled,
        }
    }
}

/// What a conversation with an agent is called in the pool: the same name with another agent is
/// another conversation, and has another cache.
#[must_use]
pub fn session(agent: &AgentId, name: &SessionId) -> SessionId {
    format!("{agent}/{name}").into()
}

/// Takes a turn.
pub(crate) async fn talk(spec: &AgentSpec, desk: &Desk, turn: &Turn) -> Talked {
    let (mut story, mut has_forgotten) = (Story::default(), false);
    let work = answer(spec, desk, turn, (&mut story, &mut has_forgotten));
    let result = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::warn!(agent = %spec.name, "a turn of a conversation panicked");
        Err(Unsaid::Panicked)
    });
    let served = story.last_call.zip(story.why);
    let served = served.map(|((model, profile), (_, why))| Served { model, profile, why });
    Talked { result, spent: story.spent, served, has_forgotten }
}

async fn answer(
    spec: &AgentSpec,
    desk: &Desk,
    turn: &Turn,
    (story, has_forgotten): (&mut Story, &mut bool),
) -> Result<Value, Unsaid> {
    let began = Instant::now();
    let session = session(&spec.name, &turn.session);
    let models: Vec<_> = [&turn.model].into_iter().chain(&turn.fallbacks).cloned().collect();
    let asked = Ask {
        run: turn.run,
        task: &turn.id,
        attempt: 1,
        question: &turn.question,
        models: &models,
        max_tokens: turn.question.max_tokens,
        corrections: &[],
        session: Some(&session),
        deadline: turn.deadline,
        deltas: Some(&turn.deltas),
    };
    let mut result = fail_over(spec, desk, &asked, story).await;
    if is_foreign(&result)
        && let Some(question) = without_their_thoughts(&turn.question)
    {
        *has_forgotten = true;
        let asked = Ask { question: &question, ..asked };
        result = fail_over(spec, desk, &asked, story).await;
    }
    ended(spec, (desk, &asked), story, began, &result);
    result.map_err(Unsaid::from)
}

fn is_foreign(result: &Result<Value, Unanswered>) -> bool {
    match result {
        Err(Unanswered::Failed { problem, is_cut: false, .. }) => {
            is_foreign_thought(problem.status, &problem.message)
        }
        Err(
            Unanswered::Failed { is_cut: true, .. }
            | Unanswered::Refused(..)
            | Unanswered::Unrecorded(_)
            | Unanswered::Cancelled,
        )
        | Ok(_) => false,
    }
}

/// The question without thoughts; `None` if there are none, or if it is the user's own.
fn without_their_thoughts(question: &Question) -> Option<Question> {
    let messages = question.fields.get("messages").filter(|_| question.is_ours)?;
    let messages: Vec<Value> = serde_json::from_str(messages.get()).ok()?;
    let messages = to_raw_value(&without_thoughts(&messages)?).ok()?;
    let mut fields = question.fields.clone();
    fields.insert("messages".to_owned(), messages);
    Some(Question { fields, ..*question })
}

/// The messages of a conversation without the model's thoughts; `None` if there are none. A turn
/// that was nothing but thoughts is left out, as the API takes no empty one.
#[must_use]
pub fn without_thoughts(messages: &[Value]) -> Option<Vec<Value>> {
    let is_thought =
        |block: &Value| matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"));
    let has_thoughts = |message: &&Value| {
        message["content"].as_array().is_some_and(|blocks| blocks.iter().any(is_thought))
    };
    messages.iter().find(has_thoughts)?;
    let mut kept = messages.to_vec();
    kept.retain_mut(|message| match &mut message["content"] {
        Value::Array(blocks) => {
            blocks.retain(|block| !is_thought(block));
            !blocks.is_empty()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            true
        }
    });
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn thoughts_are_left_out_and_nothing_else_is() {
        let asked = json!({"role": "user", "content": "thinking?"});
        let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "EqQB"});
        let hidden = json!({"type": "redacted_thinking", "data": "x"});
        let said = json!({"type": "text", "text": "Yes."});
        let answer = |blocks: &[&Value]| json!({"role": "assistant", "content": blocks});
        let messages = [
            asked.clone(),
            answer(&[&thought, &hidden, &said]),
            answer(&[&thought]),
            asked.clone(),
        ];
        let kept = without_thoughts(&messages).unwrap();
        assert_eq!(kept, [asked.clone(), answer(&[&said]), asked]);
        assert_eq!(without_thoughts(&kept), None);
    }

    #[test]
    fn the_users_own_request_keeps_its_thoughts() {
        let text = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking"}]}]}"#;
        let question = |is_ours| {
            let fields = serde_json::from_str(text).unwrap();
            Question { fields, max_tokens: 5, is_ours }
        };
        assert!(without_their_thoughts(&question(false)).is_none());
        let forgotten = without_their_thoughts(&question(true)).unwrap();
        assert_eq!(forgotten.fields["messages"].get(), "[]");
    }
}
