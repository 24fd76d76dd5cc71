//! `polpo chat`: conversations with an agent, on a terminal or through pipes.
//!
//! Answers go to stdout, everything else to stderr.

mod command;
mod conversation;
mod input;
mod models;
mod screen;
mod setup;
mod status;
mod turn;
mod words;

use polpo_agents::talk::Served;
use polpo_policy::model::ModelSpec;

use self::command::{Command, ModelCommand};
use self::conversation::Conversation;
use self::input::{Entry, Input};
use self::models::Choice;
use self::screen::Screen;
use self::setup::Setup;
use self::turn::Ended;
use crate::cli::{ChatArgs, Global};
use crate::ending::Ending;
use crate::exit::{Exit, Stop};

/// Runs the command.
///
/// # Errors
/// When it cannot begin, or what is said cannot be recorded or shown.
pub async fn chat(global: &Global, args: &ChatArgs) -> Result<Exit, Stop> {
    let mut setup = setup::open(global, args).await?;
    let watching = setup.watching();
    let input = Input::open(&setup.history)?;
    let mut chat = Chat {
        choice: Choice::new(&setup.agent),
        conversation: Conversation::default(),
        screen: Screen::new(global),
        last: None,
        has_failed: false,
        ending: Ending::listen().map_err(Stop::usage)?,
        setup,
    };
    let outcome = tokio::select! {
        outcome = chat.run(input) => outcome,
        () = watching => Err(Stop::usage("the chat ended too early; please report it")),
    };
    let closed = chat.setup.close().await;
    let exit = outcome?;
    closed?;
    Ok(exit)
}

/// A chat.
struct Chat {
    setup: Setup,
    choice: Choice,
    conversation: Conversation,
    screen: Screen,
    /// Who served the last turn, and the model that had been asked for.
    last: Option<(Served, ModelSpec)>,
    /// Whether a turn of it has failed.
    has_failed: bool,
    /// Who tells it to end.
    ending: Ending,
}

impl Chat {
    async fn run(&mut self, mut input: Input) -> Result<Exit, Stop> {
        let profiles = self.setup.profiles().await?;
        models::check(self.choice.effective(), &profiles).map_err(|why| {
            Stop::no_credential(format!("agent {}: {why}", self.setup.agent.name))
        })?;
        if input.is_terminal {
            let (agent, model) = (&self.setup.agent.name, self.choice.effective());
            self.screen.note(&format!("agent {agent} on {model}; /help tells what can be typed"));
        }
        loop {
            let entry = tokio::select! {
                biased;
                () = self.ending.come() => return Ok(Exit::Interrupted),
                entry = input.next() => entry,
            };
            let line = match entry {
                Entry::Line(line) => line,
                Entry::Interrupted if input.is_terminal => continue,
                Entry::Interrupted => return Ok(Exit::Interrupted),
                Entry::End => break,
                Entry::Broken(why) => return Err(Stop::usage(why)),
            };
            match command::parse(&line) {
                None if line.trim().is_empty() => {}
                None => match self.take_turn(&line).await? {
                    Ended::Answered => {}
                    Ended::Failed => self.has_failed = true,
                    Ended::Interrupted if input.is_terminal => {}
                    Ended::Interrupted => return Ok(Exit::Interrupted),
                },
                Some(Ok(Command::Quit)) => break,
                Some(Ok(command)) => self.obey(&command).await?,
                Some(Err(why)) => self.screen.tell(&why),
            }
        }
        // A script wants to know; whoever types has seen it.
        let has_failed = self.has_failed && !input.is_terminal;
        Ok(if has_failed { Exit::TasksFailed } else { Exit::Success })
    }

    async fn obey(&mut self, command: &Command<'_>) -> Result<(), Stop> {
        match command {
            Command::Help => self.screen.tell(command::HELP),
            Command::Quit => {}
            Command::Reset => {
                self.choice.reset();
                (self.conversation, self.last) = (Conversation::default(), None);
                self.screen.tell("a new conversation begins");
            }
            Command::Cost => self.tell_cost().await?,
            Command::Status => self.tell_status().await?,
            Command::Model(command) => self.obey_model(command).await?,
        }
        Ok(())
    }

    async fn obey_model(&mut self, command: &ModelCommand<'_>) -> Result<(), Stop> {
        match command {
            ModelCommand::List => {
                let profiles = self.setup.profiles().await?;
                self.screen.tell(&self.choice.list(&self.setup.config, &profiles));
            }
            ModelCommand::Status => self.tell_model(),
            ModelCommand::Reset => {
                self.choice.reset();
                self.screen.tell(&format!("model: {}", self.choice.effective()));
            }
            ModelCommand::Number(number) => {
                let profiles = self.setup.profiles().await?;
                let picked = self.choice.pick(*number, &self.setup.config, &profiles);
                self.screen.tell(&picked.unwrap_or_else(|why| why));
            }
            ModelCommand::Spec(text) => {
                let profiles = self.setup.profiles().await?;
                let chosen = self.choice.choose(text, &self.setup.config, &profiles);
                self.screen.tell(&chosen.unwrap_or_else(|why| why));
            }
        }
        Ok(())
    }
}
