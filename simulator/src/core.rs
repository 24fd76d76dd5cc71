//! What all clones of a simulator share: the scenario, who is who, and what changes behind one
//! lock, which is held for as long as a decision takes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::allotment::{Allotment, Face};
use crate::authentication::users;
use crate::batches::Batches;
use crate::books::{Books, Ledger};
use crate::cache::Caches;
use crate::clock::{Clock, SimTime};
use crate::diagnosis::Diagnoses;
use crate::draw::{Digest, Draws};
use crate::faults::Script;
use crate::limiter::{Caller, Limiter};
use crate::money::{Money, Month};
use crate::oauth::OAuth;
use crate::scenario::Scenario;

/// What all clones of a simulator share.
pub(crate) struct Core {
    pub(crate) scenario: Scenario,
    pub(crate) clock: Clock,
    /// By API key, the index of its account.
    pub(crate) keys: HashMap<String, usize>,
    /// By account.
    callers: Vec<Caller>,
    /// By organisation, its accounts with keys of the API: these share its money.
    members: HashMap<usize, Vec<usize>>,
    state: Mutex<State>,
    /// Beside the state, which a reset empties: whoever has signed in stays so.
    oauth: Mutex<OAuth>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) batches: Batches,
    pub(crate) ledger: Ledger,
    pub(crate) limiter: Limiter,
    /// By account.
    pub(crate) allotments: Vec<Allotment>,
    pub(crate) caches: Caches,
    pub(crate) diagnoses: Diagnoses,
    pub(crate) script: Script,
    /// By account.
    pub(crate) money: Vec<Money>,
    pub(crate) month: Month,
    /// When the scenario began: at the start, or at the last reset.
    pub(crate) began: SimTime,
    /// By first message and model, the token counts that were drawn for; kept as the books keep
    /// messages.
    pub(crate) counted: HashMap<(Digest, &'static str), u64>,
    /// Draws so far that were made by number, not by what was asked.
    numbered: u64,
    /// Resets so far: a generation of an earlier age is in no books.
    pub(crate) age: u64,
}

/// Without the keys.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("scenario", &self.scenario).finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(scenario: Scenario, keeps_messages: bool) -> Self {
        let accounts = &scenario.accounts;
        let keys = accounts.iter().enumerate().flat_map(|(index, account)| {
            account.api_keys.iter().map(move |key| (key.clone(), index))
        });
        let (mut organizations, mut workspaces) = (HashMap::new(), HashMap::new());
        let mut members = HashMap::<_, Vec<_>>::new();
        let callers = accounts.iter().enumerate().map(|(account, of)| {
            let id = of.organization_id.as_str();
            let organization = *organizations.entry(id).or_insert(account);
            let workspace = *workspaces.entry((id, of.workspace_id.as_str())).or_insert(account);
            if of.face == Face::Api {
                members.entry(organization).or_default().push(account);
            }
            Caller { account, organization, workspace }
        });
        let callers = callers.collect();
        let clock = Clock::new(scenario.time_scale);
        let oauth = OAuth::new(scenario.oauth.clone(), scenario.seed, users(&scenario));
        Self {
            oauth: Mutex::new(oauth),
            keys: keys.collect(),
            callers,
            members,
            state: Mutex::new(State::new(&scenario, clock, keeps_messages, 0)),
            clock,
            scenario,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn oauth(&self) -> MutexGuard<'_, OAuth> {
        self.oauth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn books(&self) -> Books {
        let names = self.scenario.accounts.iter().map(|account| account.name.as_str());
        self.catch_up_at_once();
        // Millions of messages are told outside the lock.
        let ledger = self.state().ledger.clone();
        ledger.snapshot(names)
    }

    pub(crate) fn reset(&self) {
        let mut state = self.state();
        let (keeps_messages, age) = (state.ledger.keeps_messages, state.age + 1);
        *state = State::new(&self.scenario, self.clock, keeps_messages, age);
    }

    /// An id for an answer that has no draws of its own.
    pub(crate) fn numbered_request_id(&self) -> String {
        request_id(self.state().numbered(self.scenario.seed))
    }

    /// Who an account is.
    pub(crate) fn caller(&self, account: usize) -> Caller {
        let alone = Caller { account, organization: account, workspace: account };
        self.callers.get(account).copied().unwrap_or(alone)
    }

    /// The accounts that share the money of a caller's organisation.
    pub(crate) fn members(&self, caller: Caller) -> &[usize] {
        self.members.get(&caller.organization).map_or(&[], Vec::as_slice)
    }

    /// An account's face.
    pub(crate) fn face(&self, caller: Caller) -> &Face {
        self.scenario.accounts.get(caller.account).map_or(&Face::Api, |account| &account.face)
    }

    pub(crate) fn organization_id(&self, caller: Caller) -> &str {
        self.scenario.accounts.get(caller.account).map_or("", |account| &account.organization_id)
    }
}

impl State {
    fn new(scenario: &Scenario, clock: Clock, keeps_messages: bool, age: u64) -> Self {
        let now = clock.now();
        let allotments = scenario.accounts.iter().map(|of| Allotment::new(&of.face, now));
        Self {
            batches: Batches::new(scenario.seed, clock, scenario.batches),
            ledger: Ledger::new(scenario.accounts.len(), keeps_messages),
            limiter: Limiter::default(),
            allotments: allotments.collect(),
            caches: Caches::default(),
            diagnoses: Diagnoses::default(),
            script: Script::new(scenario.faults.clone()),
            money: scenario.accounts.iter().map(|account| account.money.clone()).collect(),
            month: Month::new(clock.wall(now)),
            began: now,
            counted: HashMap::new(),
            numbered: 0,
            age,
        }
    }

    /// Draws for what has none of its own: by its number.
    pub(crate) fn numbered(&mut self, seed: u64) -> Draws {
        self.numbered += 1;
        Draws::new(seed, &[0; 32], "numbered", self.numbered)
    }
}

pub(crate) fn request_id(draws: Draws) -> String {
    format!("req_011C{}", draws.id("request", 20))
}
