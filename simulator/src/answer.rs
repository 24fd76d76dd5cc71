//! What the model says: thoughts, then tool calls, structured output or prose, as far as there is
//! room for it.

use serde_json::json;

use crate::draw::Draws;
use crate::estimate;
use crate::instance::instance;
use crate::prose;
use crate::request::{Ask, Thinking, Tool, ToolChoice};
use crate::scenario::Scenario;
use crate::search::{self, Page};
use crate::signature::sign;

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop: Stop,
    /// Tokens that were generated, thoughts included; a stop sequence is generated, but not part
    /// of the text.
    pub(crate) output_tokens: u64,
    /// Of these, for thinking.
    pub(crate) thinking_tokens: u64,
    /// Searches of the web, which cost beside the tokens.
    pub(crate) searches: u64,
    /// Tokens of what was found: input that comes on top of the request's.
    pub(crate) found_tokens: u64,
}

/// A block of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Thinking {
        /// Empty if the client did not want to see it.
        shown: String,
        signature: String,
        tokens: u64,
    },
    Text(String),
    ToolUse {
        id: String,
        name: String,
        /// JSON.
        input: String,
    },
    /// A search, and after it what it found.
    Search {
        id: String,
        /// JSON.
        input: String,
    },
    Found {
        id: String,
        pages: Vec<Page>,
    },
}

impl Block {
    /// Tokens that its generation took.
    pub(crate) fn tokens(&self) -> u64 {
        match self {
            Self::Thinking { tokens, .. } => *tokens,
            Self::Text(text) => estimate::text(text),
            Self::ToolUse { name, input, .. } => estimate::text(name) + estimate::text(input),
            Self::Search { input, .. } => estimate::text(input),
            Self::Found { .. } => 0,
        }
    }
}

/// Why generation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    EndTurn,
    MaxTokens,
    /// The window is full before `max_tokens` is reached.
    ContextWindow,
    Sequence(String),
    ToolUse,
    Refusal,
}

impl Stop {
    /// As `stop_reason` has it.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::ContextWindow => "model_context_window_exceeded",
            Self::Sequence(_) => "stop_sequence",
            Self::ToolUse => "tool_use",
            Self::Refusal => "refusal",
        }
    }

    /// As `stop_sequence` has it.
    pub(crate) fn sequence(&self) -> Option<&str> {
        match self {
            Self::Sequence(sequence) => Some(sequence),
            Self::EndTurn
            | Self::MaxTokens
            | Self::ContextWindow
            | Self::ToolUse
            | Self::Refusal => None,
        }
    }
}

/// Answers a request that `organization` made.
pub(crate) fn answer(scenario: &Scenario, ask: &Ask, draws: Draws, organization: &str) -> Said {
    let said = Said {
        blocks: Vec::new(),
        stop: Stop::EndTurn,
        output_tokens: 0,
        thinking_tokens: 0,
        searches: 0,
        found_tokens: 0,
    };
    let mut speaker = Speaker { scenario, ask, draws, room: Room::of(ask), said };
    if let Thinking::On { shown } = ask.thinking {
        speaker.think(shown, organization);
    }
    if speaker.room.is_full {
        speaker.said.stop = speaker.room.stop;
        return speaker.said;
    }
    let calls = speaker.tools_to_call();
    if calls.is_empty() {
        speaker.search();
        speaker.speak();
    } else {
        speaker.call(&calls);
    }
    speaker.said
}

/// The tokens that may still be generated.
struct Room {
    tokens: u64,
    /// Why generation ends when there are none.
    stop: Stop,
    is_full: bool,
}

impl Room {
    fn of(ask: &Ask) -> Self {
        let window = ask.model.context_tokens.saturating_sub(ask.input_tokens);
        let stop = if window < ask.max_tokens { Stop::ContextWindow } else { Stop::MaxTokens };
        let tokens = ask.max_tokens.min(window);
        Self { tokens, stop, is_full: tokens == 0 }
    }

    /// Takes room for a text, which is cut if there is too little.
    fn take(&mut self, text: &mut String) -> u64 {
        let most = estimate::bytes_of(self.tokens);
        if text.len() > most {
            text.truncate(text.floor_char_boundary(most));
            self.is_full = true;
        }
        let tokens = estimate::text(text);
        self.tokens = self.tokens.saturating_sub(tokens);
        tokens
    }
}

/// One call in four comes with a second one beside it, where the client allows that.
const PARALLEL_CALLS: u64 = 4;

/// A model in the middle of an answer.
struct Speaker<'a> {
    scenario: &'a Scenario,
    ask: &'a Ask,
    draws: Draws,
    room: Room,
    said: Said,
}

impl<'a> Speaker<'a> {
    fn think(&mut self, is_shown: bool, organization: &str) {
        let mut thought = prose::thought(self.draws);
        let tokens = self.room.take(&mut thought);
        if tokens == 0 {
            return;
        }
        let shown = if is_shown { thought } else { String::new() };
        let signature = sign(self.scenario.seed, organization, &shown, self.draws);
        self.said.blocks.push(Block::Thinking { shown, signature, tokens });
        self.said.thinking_tokens = tokens;
        self.said.output_tokens = tokens;
    }

    fn speak(&mut self) {
        let mut text = match &self.ask.format {
            Some(schema) => instance(schema, self.draws).to_string(),
            None => prose::answer(self.scenario, self.ask, self.draws),
        };
        let mut tokens = self.room.take(&mut text);
        if self.room.is_full {
            self.said.stop = self.room.stop.clone();
        }
        let found = self.ask.stop_sequences.iter().filter_map(|s| text.find(s).map(|at| (at, s)));
        if let Some((at, sequence)) = found.min_by_key(|(at, _)| *at) {
            tokens = estimate::text(&text[..at + sequence.len()]);
            text.truncate(at);
            self.said.stop = Stop::Sequence(sequence.clone());
        }
        self.said.output_tokens += tokens;
        if !text.is_empty() {
            self.said.blocks.push(Block::Text(text));
        }
    }

    /// Searches the web before it speaks, if it may and there is room for it.
    fn search(&mut self) {
        let (ask, draws) = (self.ask, self.draws);
        let is_wanted = ask.has_search && ask.tool_choice == ToolChoice::Auto && !ask.answers_tool;
        let input = json!({"query": "what is asked"}).to_string();
        let tokens = estimate::text(&input);
        if !is_wanted || !self.uses_tools() || tokens >= self.room.tokens {
            return;
        }
        let id = format!("srvtoolu_01{}", draws.id("search", 22));
        let pages = search::pages(draws);
        self.room.tokens -= tokens;
        self.said.output_tokens += tokens;
        self.said.searches = 1;
        self.said.found_tokens = pages.iter().map(Page::tokens).sum();
        self.said.blocks.push(Block::Search { id: id.clone(), input });
        self.said.blocks.push(Block::Found { id, pages });
    }

    fn uses_tools(&self) -> bool {
        self.draws.uniform("uses tool") < self.scenario.tool_use_rate
    }

    /// Which tools the model calls: what it is told to, and by itself once a turn.
    fn tools_to_call(&self) -> Vec<&'a Tool> {
        let (ask, draws) = (self.ask, self.draws);
        let drawn = |index: u64| {
            let at = draws.below("tool", index, ask.tools.len() as u64);
            usize::try_from(at).ok().and_then(|at| ask.tools.get(at))
        };
        let first = match &ask.tool_choice {
            ToolChoice::None => None,
            ToolChoice::Named(name) => ask.tools.iter().find(|tool| tool.name == *name),
            ToolChoice::Any => drawn(0),
            // Else a loop of tool calls would never end.
            ToolChoice::Auto if ask.answers_tool || !self.uses_tools() => None,
            ToolChoice::Auto => drawn(0),
        };
        let has_second = ask.parallel_tools && draws.below("parallel", 0, PARALLEL_CALLS) == 0;
        let is_free = matches!(ask.tool_choice, ToolChoice::Auto | ToolChoice::Any);
        let second = if has_second && is_free && first.is_some() { drawn(1) } else { None };
        first.into_iter().chain(second).collect()
    }

    fn call(&mut self, tools: &[&Tool]) {
        self.said.stop = Stop::ToolUse;
        for (index, tool) in (0_u64..).zip(tools) {
            let draws = self.draws.again(index);
            let call = Block::ToolUse {
                id: format!("toolu_01{}", draws.id("tool use", 22)),
                name: tool.name.clone(),
                input: instance(&tool.schema, draws).to_string(),
            };
            let tokens = call.tokens();
            if tokens > self.room.tokens {
                self.said.stop = self.room.stop.clone();
                return;
            }
            self.room.tokens -= tokens;
            self.said.output_tokens += tokens;
            self.said.blocks.push(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::draw::{hex, sha256};

    fn ask(more: Value) -> Ask {
        let mut body = json!({
            "model": "claude-opus-4-6",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": "What is 6 x 7?"}],
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", "2026-10-21".parse().unwrap());
        Ask::read(&headers, body.to_string().as_bytes()).unwrap()
    }

    fn scenario(accuracy: f64) -> Scenario {
        let hash = hex(&sha256(b"What is 6 x 7?"));
        let text = json!({"answers": {hash: "1,042"}, "accuracy": {"opus": accuracy}}).to_string();
        Scenario::from_json(&text, "test").unwrap()
    }

    fn say(scenario: &Scenario, ask: &Ask, nth: u64) -> Said {
        answer(scenario, ask, Draws::new(scenario.seed, &ask.first, &ask.model.id, nth), "org")
    }

    impl Said {
        /// The text, where there is nothing else.
        fn text(&self) -> &str {
            match self.blocks.as_slice() {
                [] => "",
                [Block::Text(text)] => text,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_right_answer_is_the_last_line_after_some_reasoning() {
        let said = say(&scenario(1.0), &ask(json!({})), 0);
        assert!(said.text().ends_with("\n#### 1,042"), "{}", said.text());
        assert!(said.text().lines().next().unwrap().matches('.').count() >= 2);
        assert_eq!(said.stop, Stop::EndTurn);
        assert_eq!(said.output_tokens, said.text().len().div_ceil(4) as u64);
    }

    #[test]
    fn a_wrong_answer_ends_with_another_number() {
        let said = say(&scenario(0.0), &ask(json!({})), 0);
        let number: i64 = said.text().rsplit_once("\n#### ").unwrap().1.parse().unwrap();
        assert_ne!(number, 1042);
    }

    #[test]
    fn the_same_question_is_answered_alike_and_only_a_longer_conversation_gets_another_chance() {
        let scenario = scenario(0.5);
        let is_right = |turns: usize, nth: u64| {
            let mut messages = vec![json!({"role": "user", "content": "What is 6 x 7?"})];
            messages.extend((1..turns).map(|_| json!({"role": "user", "content": "Again."})));
            say(&scenario, &ask(json!({"messages": messages})), nth).text().ends_with("1,042")
        };
        let by_turns: Vec<_> = (1..40).map(|turns| is_right(turns, 0)).collect();
        assert!(by_turns.contains(&true) && by_turns.contains(&false));
        for turns in 1..40 {
            assert_eq!(is_right(turns, 7), by_turns[turns - 1]);
        }
    }

    #[test]
    fn max_tokens_cuts_the_answer_and_its_last_line_is_lost() {
        let said = say(&scenario(1.0), &ask(json!({"max_tokens": 10})), 0);
        assert_eq!((said.text().len(), said.output_tokens), (40, 10));
        assert_eq!(said.stop, Stop::MaxTokens);
        let nothing = say(&scenario(1.0), &ask(json!({"max_tokens": 0})), 0);
        assert_eq!((nothing.text(), nothing.output_tokens), ("", 0));
        assert_eq!(nothing.stop, Stop::MaxTokens);
    }

    #[test]
    fn the_earliest_stop_sequence_ends_the_text_before_itself() {
        let whole = say(&scenario(1.0), &ask(json!({})), 0);
        let said = say(&scenario(1.0), &ask(json!({"stop_sequences": ["#", "zzz", "\n####"]})), 0);
        assert_eq!(said.stop, Stop::Sequence("\n####".into()));
        assert_eq!(said.text(), whole.text().split_once('\n').unwrap().0);
        assert_eq!(said.output_tokens, (said.text().len() + 5).div_ceil(4) as u64);
    }

    #[test]
    fn an_answer_to_something_that_is_not_in_the_book_is_plausible_text_around_120_tokens() {
        let (scenario, ask) = (Scenario::default_scenario(), ask(json!({})));
        let mut lengths: Vec<_> =
            (0..1001).map(|nth| say(&scenario, &ask, nth).output_tokens).collect();
        lengths.sort_unstable();
        assert!((95..130).contains(&lengths[500]), "median {}", lengths[500]);
        assert!(lengths[1000] < 600 && lengths[0] >= 10);
        assert!(!say(&scenario, &ask, 0).text().contains("####"));
    }
}
