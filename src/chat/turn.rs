//! A turn: asked, heard, recorded.

use std::time::Duration;

use polpo_agents::messages::Talk;
use polpo_agents::talk::{Delta, Talked, Turn, Unsaid};
use polpo_policy::model::ModelSpec;
use polpo_store::journal::{FinishedLine, ResultKind, RunId};
use serde_json::json;
use tokio::signal::ctrl_c;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Chat, words};
use crate::exit::Stop;

/// Pieces on their way to the screen; a screen that is further behind slows the answer down.
const PIECES_WAITING: usize = 64;

/// Silence after which whoever waits is told for what.
const SILENCE: Duration = Duration::from_secs(3);

/// How a turn ended.
pub(super) enum Ended {
    Answered,
    Failed,
    /// By Ctrl-C, or the end of the chat.
    Interrupted,
}

impl Chat {
    /// Says something, and shows what is answered. What has no answer is as if it had not been said.
    ///
    /// # Errors
    /// When it cannot be recorded or shown.
    pub(super) async fn take_turn(&mut self, said: &str) -> Result<Ended, Stop> {
        let journal = self.setup.journal.clone();
        let run = self.conversation.begin(&*journal, self.setup.is_simulated).await?;
        let id = format!("turn-{}", self.conversation.next());
        let (deltas, heard) = mpsc::channel(PIECES_WAITING);
        let wanted = self.choice.effective().clone();
        let queue = chrono::TimeDelta::from_std(self.setup.config.settings.max_queue);
        let turn = Turn {
            run: run.id,
            id: id.clone(),
            session: self.conversation.session(),
            model: wanted.clone(),
            fallbacks: self.choice.fallbacks(),
            question: self.conversation.question(&self.setup.agent, said)?,
            deadline: queue.ok().map(|queue| self.setup.clock.now() + queue),
            deltas,
        };
        let (talked, shown) = self.hear(turn, heard).await?;
        if talked.has_forgotten {
            self.conversation.forget_thoughts();
        }
        self.record(run.id, id, &talked).await?;
        shown.and_then(|()| self.screen.end())?;
        self.conclude(said, &wanted, talked).await
    }

    /// Shows the answer while it comes, and tells whether that could be done. What ends the
    /// listening cancels the turn: Ctrl-C, the end of the chat, a screen that is not there.
    async fn hear(
        &mut self,
        turn: Turn,
        mut heard: mpsc::Receiver<Delta>,
    ) -> Result<(Talked, Result<(), Stop>), Stop> {
        let working = self.setup.talker.send(Talk(turn)).await.map_err(Stop::usage)?;
        let (setup, screen, ending) = (&self.setup, &mut self.screen, &mut self.ending);
        let showing = async move {
            let mut delta = match timeout(SILENCE, heard.recv()).await {
                Ok(delta) => delta,
                Err(_) => {
                    setup.wait().await.iter().for_each(|wait| screen.note(&words::waiting(wait)));
                    heard.recv().await
                }
            };
            while let Some(piece) = delta {
                match piece {
                    Delta::Text(text) => screen.text(&text)?,
                    Delta::Thinking(text) => screen.thought(&text),
                }
                delta = heard.recv().await;
            }
            Ok(())
        };
        let listening = async {
            tokio::select! {
                shown = showing => shown,
                _ = ctrl_c() => Ok(()),
                () = ending.come() => Ok(()),
            }
        };
        Ok(tokio::join!(working.outcome(), listening))
    }

    /// Keeps what was answered, or tells why nothing was.
    async fn conclude(
        &mut self,
        said: &str,
        wanted: &ModelSpec,
        talked: Talked,
    ) -> Result<Ended, Stop> {
        let Talked { result, spent, served, .. } = talked;
        let ended = match result {
            Ok(message) => {
                self.conversation.keep(said, &message);
                match message["stop_reason"].as_str() {
                    Some("max_tokens") => self.screen.tell("(cut off at the agent's maxTokens)"),
                    Some("refusal") => self.screen.tell("(the model refused)"),
                    Some(_) | None => {}
                }
                if let Some(served) = &served {
                    self.screen.note(&words::footer(served, &spent, wanted));
                }
                Ended::Answered
            }
            Err(Unsaid::Unrecorded(why)) => return Err(Stop::not_written(why)),
            Err(Unsaid::Cancelled) => {
                self.screen.tell(&words::cancelled(&spent));
                Ended::Interrupted
            }
            Err(unsaid) => {
                let profiles = self.setup.profiles().await?;
                self.screen.tell(&words::unsaid(&unsaid, wanted, &profiles));
                self.screen.note("what was said is not kept");
                Ended::Failed
            }
        };
        self.last = served.map(|served| (served, wanted.clone())).or(self.last.take());
        Ok(ended)
    }

    /// Records that the turn has ended, so that its costs are listed with its model and its profile.
    /// What was said is nobody's business but the user's.
    async fn record(&self, run: RunId, id: String, talked: &Talked) -> Result<(), Stop> {
        let Some(served) = &talked.served else { return Ok(()) };
        let kind = match &talked.result {
            Ok(_) => ResultKind::Succeeded,
            Err(Unsaid::Cancelled) => ResultKind::Canceled,
            Err(
                Unsaid::Failed { .. }
                | Unsaid::Refused { .. }
                | Unsaid::Unrecorded(_)
                | Unsaid::Panicked,
            ) => ResultKind::Errored,
        };
        let line = FinishedLine {
            run,
            line: json!({"custom_id": id, "result": {"type": kind.label()}}).to_string(),
            custom_id: id,
            request_sha256: String::new(),
            kind,
            agent: self.setup.agent.name.clone(),
            model: served.model.model.clone(),
            profile: served.profile.clone(),
            metadata: None,
            ended_at: self.setup.clock.now(),
        };
        self.setup.journal.finish(vec![line]).await.map_err(Stop::not_written)?;
        Ok(())
    }
}
