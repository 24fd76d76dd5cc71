//! A small world: agents, profiles, a journal, and something that answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use polpo::config::{
    AgentConfig, BillingDisable, Config, GatewayConfig, JournalConfig, RetryConfig, Settings,
};
use polpo::wiring::{self, Actors, Outlet, Shared};
use polpo_agents::clock::Clock;
use polpo_agents::job::{Ending, Job, Outcome, Question, Spent};
use polpo_agents::messages::{Observe, RunTask, Snapshot, Talk};
use polpo_agents::signer::Signing;
use polpo_agents::talk::{Talked, Turn};
use polpo_metrics::{Metrics, Surface};
use polpo_policy::expect::{ExpectSpec, Expectation};
use polpo_policy::health::Health;
use polpo_policy::model::ModelSpec;
use polpo_policy::price::{Nanodollars, PriceList};
use polpo_policy::usage::{Terms, Usage};
use polpo_store::journal::{Journal, NewRun, RunId};
use polpo_store::profiles::ProfileFile;
use polpo_upstream::credential::Credential;
use polpo_upstream::transport::Transport;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::journal::{Diary, Row};
use crate::reply::{INPUT, OUTPUT};
use crate::script::{Script, Sent};

pub(crate) const HAIKU: &str = "claude-haiku-4-5-20251001";
pub(crate) const SONNET: &str = "claude-sonnet-4-6";
pub(crate) const OPUS: &str = "claude-opus-4-6";

/// Room for an answer, unless a job says otherwise.
pub(crate) const MAX_TOKENS: u64 = 1000;

/// Everything that runs.
pub(crate) struct World {
    pub(crate) script: Script,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) actors: Actors,
    pub(crate) file: ProfileFile,
    pub(crate) journal: Arc<Diary>,
    run: RunId,
    _directory: Option<TempDir>,
}

/// A profile with its key and what carries its calls.
pub(crate) fn keyed(name: &str, transport: Arc<dyn Transport>, key: &str, slots: u32) -> Outlet {
    Outlet {
        id: format!("anthropic:{name}").into(),
        provider: "anthropic".into(),
        signing: Signing::Key(Credential::api_key(key).unwrap()),
        transport,
        slots: Some(slots),
        health: Health::default(),
    }
}

impl World {
    /// One Sonnet agent that escalates to Opus, and a scripted profile of each name.
    pub(crate) async fn new(profiles: &[&str]) -> Self {
        Self::of(vec![agent("agent")], profiles, 64).await
    }

    /// Agents, and scripted profiles of so many slots each.
    pub(crate) async fn of(agents: Vec<AgentConfig>, profiles: &[&str], slots: u32) -> Self {
        let script = Script::new();
        let wires = profiles.iter().map(|name| (*name, script.wire(name), "sk-none".to_owned()));
        Self::with(agents, wires.collect(), slots, script.clone()).await
    }

    /// Agents, and profiles with what carries their calls and their key.
    pub(crate) async fn with(
        agents: Vec<AgentConfig>,
        profiles: Vec<(&str, Arc<dyn Transport>, String)>,
        slots: u32,
        script: Script,
    ) -> Self {
        let clock = Clock::starting_at(DateTime::UNIX_EPOCH);
        let outlets =
            profiles.into_iter().map(|(name, transport, key)| keyed(name, transport, &key, slots));
        let directory = tempfile::tempdir().unwrap();
        let file = ProfileFile::new(directory.path());
        let world = Self::start(agents, outlets.collect(), (clock, file), script).await;
        Self { _directory: Some(directory), ..world }
    }

    /// Agents, and profiles whose health is kept in a file.
    pub(crate) async fn start(
        agents: Vec<AgentConfig>,
        outlets: Vec<Outlet>,
        (clock, file): (Clock, ProfileFile),
        script: Script,
    ) -> Self {
        let (journal, metrics) = (Arc::new(Diary::default()), Metrics::new(true).unwrap());
        let run = NewRun {
            results_path: "results.jsonl".to_owned(),
            tasks_path: "tasks.jsonl".to_owned(),
            simulated: true,
            holder: 1,
            now: clock.now(),
        };
        let run = journal.open_run(run).await.unwrap().id;
        let shared = Shared {
            journal: journal.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            surface: Surface::Batch,
            seed: 7,
            profiles: file.clone(),
        };
        let actors = wiring::start(&config(agents), outlets, shared, 64);
        Self { script, metrics, clock, actors, file, journal, run, _directory: None }
    }

    /// Has the agent named `agent` answer a prompt.
    pub(crate) async fn ask(&self, prompt: &str) -> Outcome {
        self.run("agent", self.job(prompt)).await
    }

    /// Has the agent named `agent` answer a prompt, with an answer that contains `text`.
    pub(crate) async fn ask_for(&self, prompt: &str, text: &str) -> Outcome {
        self.run("agent", expecting(self.job(prompt), text)).await
    }

    /// Has an agent run a job.
    pub(crate) fn run(&self, agent: &str, job: Job) -> impl Future<Output = Outcome> + use<> {
        let agent = self.actors.agents[&agent.into()].clone();
        async move { agent.send(RunTask(job)).await.unwrap().outcome().await }
    }

    /// Has an agent take a turn of a conversation.
    pub(crate) fn talk(&self, agent: &str, turn: Turn) -> impl Future<Output = Talked> + use<> {
        let agent = self.actors.talkers[&agent.into()].clone();
        async move { agent.send(Talk(turn)).await.unwrap().outcome().await }
    }

    /// A job without an expectation, whose id is its prompt.
    pub(crate) fn job(&self, prompt: &str) -> Job {
        let messages = serde_json::json!([{"role": "user", "content": prompt}]).to_string();
        let messages = RawValue::from_string(messages).unwrap();
        Job {
            run: self.run,
            id: prompt.to_owned(),
            model: spec(SONNET),
            question: Question {
                fields: BTreeMap::from([("messages".to_owned(), messages)]),
                max_tokens: MAX_TOKENS,
                is_ours: true,
            },
            expectation: None,
            carried: Spent::default(),
        }
    }

    /// What was sent so far.
    pub(crate) fn calls(&self) -> Vec<Sent> {
        self.script.calls()
    }

    /// Which profile was used when, in whole milliseconds.
    pub(crate) fn trace(&self) -> Vec<(u64, String)> {
        self.calls().into_iter().map(|sent| (millis(sent.at), sent.profile)).collect()
    }

    /// The models that were asked, in order.
    pub(crate) fn models(&self) -> Vec<String> {
        self.calls().iter().map(|sent| sent.model().to_owned()).collect()
    }

    /// The calls in the journal.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.journal.rows()
    }

    /// The journal itself.
    pub(crate) fn journal(&self) -> &dyn Journal {
        &*self.journal
    }

    /// The journal with its diary.
    pub(crate) fn diary(&self) -> Arc<Diary> {
        self.journal.clone()
    }

    /// The run that every job belongs to.
    pub(crate) const fn run_id(&self) -> RunId {
        self.run
    }

    /// How the pool stands.
    pub(crate) async fn observe(&self) -> Snapshot {
        self.actors.observe.send(Observe).await.unwrap()
    }

    /// The sum of the exported series of a name that have all of these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metric(&self.metrics, name, labels)
    }
}

/// The sum of the exported series of a name that have all of these labels.
pub(crate) fn metric(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> f64 {
    let text = metrics.render();
    let series = text.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix("polpo_")?.strip_prefix(name)?.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, value))
    });
    let wanted = |line: &str| {
        labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    series.filter(|(line, _)| wanted(line)).map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// A Sonnet agent that retries twice, on Opus.
pub(crate) fn agent(name: &str) -> AgentConfig {
    AgentConfig {
        name: name.into(),
        model: spec(SONNET),
        fallbacks: Vec::new(),
        system_prompt: None,
        max_tokens: 1000,
        max_concurrency: None,
        retry: RetryConfig { max_retries: 2, escalate_after: 1, escalate_model: spec(OPUS) },
    }
}

/// A model by its name.
pub(crate) fn spec(model: &str) -> ModelSpec {
    ModelSpec::parse(model).unwrap()
}

/// A job whose answer must contain a text.
pub(crate) fn expecting(job: Job, text: &str) -> Job {
    let spec = ExpectSpec { contains: vec![text.to_owned()], ..ExpectSpec::default() };
    Job { expectation: Some(Expectation::compile(&spec).unwrap()), ..job }
}

/// The text of a good end, or the whole ending of another.
pub(crate) fn answer(outcome: &Outcome) -> String {
    match &outcome.ending {
        Ending::Succeeded(message) => polpo_upstream::wire::assemble::text(message),
        other @ (Ending::Errored { .. } | Ending::Pending | Ending::Unrecorded(_)) => {
            format!("{other:?}")
        }
    }
}

/// Reason and message of a bad end.
#[track_caller]
pub(crate) fn error(outcome: &Outcome) -> (&'static str, &str) {
    let Ending::Errored { problem, reason, .. } = &outcome.ending else { panic!("{outcome:?}") };
    (reason, &problem.message)
}

/// What a canned message costs on a model.
pub(crate) fn price(model: &str) -> Nanodollars {
    price_of(model, OUTPUT)
}

/// What a canned message costs on a model when so many tokens of it are written.
pub(crate) fn price_of(model: &str, output: u64) -> Nanodollars {
    let usage = Usage { input: INPUT, output, ..Usage::default() };
    PriceList::default().cost(model, &usage, Terms::default()).unwrap().total()
}

/// Lets so much time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Seconds as whole milliseconds.
pub(crate) fn millis(seconds: f64) -> u64 {
    Duration::from_secs_f64(seconds).as_millis().try_into().unwrap()
}

pub(crate) fn config(agents: Vec<AgentConfig>) -> Config {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    Config {
        providers: BTreeMap::new(),
        agents,
        gateway: GatewayConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            admin_key: None,
            keys: Vec::new(),
            max_held_bytes: 1 << 30,
        },
        settings: Settings {
            max_concurrency: 64,
            max_queue: minutes(1),
            allowlist: None,
            cooldown_steps: [1, 5, 25, 60].map(minutes).to_vec(),
            billing: BillingDisable {
                backoff: minutes(5 * 60),
                max: minutes(24 * 60),
                window: minutes(24 * 60),
            },
            prices: Vec::new(),
            journal: JournalConfig { path: None, synchronous: Default::default() },
            show_profile_names: true,
        },
        origin: None,
    }
}
