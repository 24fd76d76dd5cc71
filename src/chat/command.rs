//! What can be typed besides what is said.

use crate::config::nearest;

/// What `/help` tells.
pub(super) const HELP: &str = "\
/model [list]           the models, numbered
/model NUMBER           take one of them
/model SPEC[@PROFILE]   take a model, and insist on a profile: anthropic/claude-opus-4-6@anthropic:me
/model status           the model in force, its profile, and what comes when it cannot be served
/model reset            back to the agent's own model
/status                 who served the last answer and why, and how the profiles stand
/cost                   what this conversation has cost, and today's calls
/reset                  a new conversation, with the agent's own model
/help                   this
/quit                   the end, as is Ctrl-D; Ctrl-C cancels an answer
A line that ends with a backslash goes on in the next one.";

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Help,
    Quit,
    Reset,
    Cost,
    Status,
    Model(ModelCommand<'a>),
}

/// What `/model` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ModelCommand<'a> {
    List,
    Status,
    Reset,
    /// Take the model of this number in the list.
    Number(usize),
    /// Take the model of this spec.
    Spec(&'a str),
}

const NAMES: [&str; 6] = ["help", "quit", "reset", "cost", "status", "model"];

/// Reads a line: `None` if it is something said, as is a path that begins with a slash.
pub(super) fn parse(line: &str) -> Option<Result<Command<'_>, String>> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = name.strip_prefix('/').filter(|name| name.chars().all(char::is_alphabetic))?;
    let rest = rest.trim();
    let command = match name {
        "model" => Command::Model(model(rest)),
        "help" => Command::Help,
        "quit" | "exit" => Command::Quit,
        "reset" => Command::Reset,
        "cost" => Command::Cost,
        "status" => Command::Status,
        _ => return Some(Err(unknown(name))),
    };
    let takes_words = matches!(command, Command::Model(_));
    if !rest.is_empty() && !takes_words {
        return Some(Err(format!("/{name} takes nothing after it")));
    }
    Some(Ok(command))
}

fn model(rest: &str) -> ModelCommand<'_> {
    match rest {
        "" | "list" => ModelCommand::List,
        "status" => ModelCommand::Status,
        "reset" | "default" => ModelCommand::Reset,
        _ => match rest.parse() {
            Ok(number) if rest.bytes().all(|b| b.is_ascii_digit()) => ModelCommand::Number(number),
            Ok(_) | Err(_) => ModelCommand::Spec(rest),
        },
    }
}

fn unknown(name: &str) -> String {
    let advice = nearest(name, NAMES).map_or_else(
        || "/help tells what there is".to_owned(),
        |nearest| format!("did you mean /{nearest}?"),
    );
    format!("there is no command /{name}: {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_what_is_said() {
        for said in ["hello", "/etc/hosts is what?", "1/2", "", "/ what"] {
            let is_said = parse(said).is_none() || said == "/ what";
            assert!(is_said, "{said}");
        }
        for (line, expected) in [
            (" /help ", Command::Help),
            ("/exit", Command::Quit),
            ("/model", Command::Model(ModelCommand::List)),
            ("/model list", Command::Model(ModelCommand::List)),
            ("/model status", Command::Model(ModelCommand::Status)),
            ("/model default", Command::Model(ModelCommand::Reset)),
            ("/model 12", Command::Model(ModelCommand::Number(12))),
            ("/model +1", Command::Model(ModelCommand::Spec("+1"))),
            ("/model poe:x@poe:me", Command::Model(ModelCommand::Spec("poe:x@poe:me"))),
        ] {
            assert_eq!(parse(line), Some(Ok(expected)), "{line}");
        }
    }

    #[test]
    fn a_typo_is_told_what_was_probably_meant() {
        let told = |line| parse(line).unwrap().unwrap_err();
        assert_eq!(told("/modle list"), "there is no command /modle: did you mean /model?");
        assert_eq!(told("/xyz"), "there is no command /xyz: /help tells what there is");
        assert_eq!(told("/reset now"), "/reset takes nothing after it");
    }
}
