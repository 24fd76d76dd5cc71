//! An endless backlog over some organisations, in simulated time: whoever was used longest ago
//! and has headroom serves the next request; when none has, the time passes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::VecDeque;

use polpo_policy::id::{AgentId, LimitClass};
use polpo_policy::limits::LimitReading;
use polpo_policy::pool::Used;
use polpo_policy::pool::forecast::Forecast;
use polpo_policy::pool::pace::{Headroom, Mark, Outcome, Pace, Refusal};

use crate::server::{Limits, Refused, Server, moment};
use crate::work::{Draw, Work};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrives,
    Begins,
    Ceases,
    /// Someone else, whose calls nobody here knows of, sends one.
    OtherSends,
    LimitsAreCut,
    HeadersCome,
    Ends,
    IsRefused,
    Wakes,
}

struct Call {
    account: usize,
    work: Work,
    mark: Option<Mark>,
    readings: Vec<LimitReading>,
    refused: Option<Refused>,
}

struct Account {
    pace: Pace,
    server: Server,
    last_used: Option<u64>,
    /// When it may have headroom for the head of the backlog.
    look: f64,
}

/// What is to happen.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) limits: Limits,
    pub(crate) accounts: usize,
    /// Minutes to measure.
    pub(crate) minutes: f64,
    /// Calls a minute that someone else makes of each account.
    pub(crate) others: f64,
    /// Minute at which all limits are halved.
    pub(crate) cut: Option<f64>,
}

/// What came of it, after two minutes to warm up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Requests, input tokens, output tokens of our own, a minute and account.
    pub(crate) ours: [f64; 3],
    /// Those of everybody.
    pub(crate) all: [f64; 3],
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    /// How many were refused of those of the two minutes.
    pub(crate) at_first: (u64, u64),
}

impl Figures {
    pub(crate) fn refused_percent(&self) -> f64 {
        self.refused as f64 * 100.0 / self.calls.max(1) as f64
    }
}

const WARM_UP: f64 = 120.0;

pub(crate) struct World {
    scenario: Scenario,
    now: f64,
    accounts: Vec<Account>,
    calls: Vec<Call>,
    agenda: BinaryHeap<Reverse<(u64, u64, Happening, usize)>>,
    backlog: VecDeque<Work>,
    forecast: Forecast,
    agents: [AgentId; 3],
    class: LimitClass,
    /// Of the head of the backlog.
    need: u64,
    draw: Draw,
    granted: u64,
    planned: u64,
    wakes_at: f64,
    ours: [f64; 3],
    figures: Figures,
}

impl World {
    pub(crate) fn run(scenario: Scenario) -> Figures {
        let account = |_| Account {
            pace: Pace::new(),
            server: Server::new(scenario.limits),
            last_used: None,
            look: 0.0,
        };
        let mut world = Self {
            scenario,
            now: 0.0,
            accounts: (0..scenario.accounts).map(account).collect(),
            calls: Vec::new(),
            agenda: BinaryHeap::new(),
            backlog: VecDeque::new(),
            forecast: Forecast::default(),
            agents: ["writer", "coder", "cached"].map(AgentId::from),
            class: "opus-5".into(),
            need: 0,
            draw: Draw(7),
            granted: 0,
            planned: 0,
            wakes_at: f64::INFINITY,
            ours: [0.0; 3],
            figures: Figures::default(),
        };
        for account in 0..scenario.accounts {
            if scenario.others > 0.0 {
                world.plan(1.0, Happening::OtherSends, account);
            }
            if let Some(minute) = scenario.cut {
                world.plan(minute * 60.0, Happening::LimitsAreCut, account);
            }
        }
        world.play()
    }

    fn play(mut self) -> Figures {
        let end = WARM_UP + self.scenario.minutes * 60.0;
        let mut before = None;
        self.dispatch();
        while let Some(Reverse((at, _, happening, index))) = self.agenda.pop() {
            self.now = at as f64 / 1e9;
            if before.is_none() && self.now >= WARM_UP {
                before = Some((self.total(WARM_UP), self.ours));
                let Figures { calls, refused, .. } = self.figures;
                self.figures = Figures { at_first: (refused, calls), ..Figures::default() };
            }
            if self.now >= end {
                break;
            }
            self.happen(happening, index);
            if happening >= Happening::HeadersCome {
                self.dispatch(); // Of what happens before, only the server knows.
            }
        }
        let (all, ours) = before.unwrap();
        let per = self.scenario.minutes * self.scenario.accounts as f64;
        let now = self.total(end);
        for dimension in 0..3 {
            self.figures.all[dimension] = (now[dimension] - all[dimension]) / per;
            self.figures.ours[dimension] = (self.ours[dimension] - ours[dimension]) / per;
        }
        self.figures
    }

    fn total(&mut self, now: f64) -> [f64; 3] {
        let mut total = [0.0; 3];
        for account in &mut self.accounts {
            account.server.pass(now);
            for (sum, served) in total.iter_mut().zip(account.server.served) {
                *sum += served;
            }
        }
        total
    }

    fn plan(&mut self, seconds: f64, happening: Happening, index: usize) {
        self.planned += 1;
        let at = ((self.now + seconds) * 1e9).round() as u64;
        self.agenda.push(Reverse((at, self.planned, happening, index)));
    }

    fn dispatch(&mut self) {
        loop {
            if self.backlog.is_empty() {
                let work = Work::draw(&mut self.draw);
                self.backlog.push_back(work);
            }
            let work = self.backlog[0];
            let agent = &self.agents[work.agent];
            let need = self.forecast.input(agent, &self.class, (work.bytes, false));
            if need < self.need {
                self.accounts.iter_mut().for_each(|account| account.look = 0.0);
            }
            self.need = need;
            let Some(account) = self.oldest(need) else { return };
            self.backlog.pop_front();
            self.granted += 1;
            let now = moment(self.now);
            let it = &mut self.accounts[account];
            self.now += 1e-9; // As the pool does: grants have an order.
            it.last_used = Some(self.granted);
            let mark = Some(it.pace.granted(now, need));
            self.send(account, work, mark);
        }
    }

    /// Of the accounts that have headroom, the one that was used longest ago; if none has, time
    /// is to pass until the first has.
    fn oldest(&mut self, need: u64) -> Option<usize> {
        let mut best: Option<(Option<u64>, usize)> = None;
        let (mut earliest, now) = (f64::INFINITY, moment(self.now));
        for (index, account) in self.accounts.iter_mut().enumerate() {
            if account.look <= self.now {
                account.look = match account.pace.headroom(now, need) {
                    Headroom::Now => self.now,
                    Headroom::At(at, _) => at.timestamp_nanos_opt().unwrap() as f64 / 1e9,
                    Headroom::Full(_) => f64::INFINITY,
                };
                if account.look <= self.now {
                    best = best.into_iter().chain([(account.last_used, index)]).min();
                }
            }
            earliest = earliest.min(account.look);
        }
        if best.is_none() && earliest < self.wakes_at {
            self.wakes_at = earliest;
            self.plan(earliest - self.now, Happening::Wakes, 0);
        }
        best.map(|(_, index)| index)
    }

    fn send(&mut self, account: usize, work: Work, mark: Option<Mark>) {
        self.calls.push(Call { account, work, mark, readings: Vec::new(), refused: None });
        let delay = self.draw.between(0.01, 0.06);
        self.plan(delay, Happening::Arrives, self.calls.len() - 1);
    }

    fn happen(&mut self, happening: Happening, index: usize) {
        match happening {
            Happening::Wakes if self.now < self.wakes_at => {} // An earlier time was not the earliest.
            Happening::Wakes => self.wakes_at = f64::INFINITY,
            Happening::LimitsAreCut => self.accounts[index].server.cut(self.now, 0.5),
            Happening::OtherSends => {
                let work = Work::draw(&mut self.draw);
                self.send(index, work, None);
                let mean = 60.0 / self.scenario.others;
                let pause = -mean * (1.0 - self.draw.unit()).ln();
                self.plan(pause, Happening::OtherSends, index);
            }
            Happening::Arrives => self.arrive(index),
            Happening::Begins => self.write(index, 1.0),
            Happening::Ceases => self.write(index, -1.0),
            Happening::HeadersCome => {
                let call = &self.calls[index];
                let account = &mut self.accounts[call.account];
                let mark = call.mark.as_ref().unwrap();
                account.pace.read(moment(self.now), mark, &call.readings);
                account.look = 0.0;
            }
            Happening::Ends => self.end(index),
            Happening::IsRefused => self.refuse(index),
        }
    }

    fn arrive(&mut self, index: usize) {
        let (back, now) = (self.draw.between(0.01, 0.06), self.now);
        let call = &mut self.calls[index];
        let (is_ours, work) = (call.mark.is_some(), call.work);
        let server = &mut self.accounts[call.account].server;
        let admitted = server.admit(now, work.input);
        call.readings = server.headers();
        if let Err(refused) = admitted {
            call.refused = Some(refused);
            if is_ours {
                self.plan(back, Happening::HeadersCome, index);
                self.plan(back, Happening::IsRefused, index);
            }
            return;
        }
        let end = work.first + work.output / work.speed;
        self.plan(work.first, Happening::Begins, index);
        self.plan(end, Happening::Ceases, index);
        if is_ours {
            self.ours[0] += 1.0;
            self.ours[1] += work.input;
            self.plan(work.first + back, Happening::HeadersCome, index);
            self.plan(end + back, Happening::Ends, index);
        }
    }

    fn write(&mut self, index: usize, sign: f64) {
        let Call { account, work, mark, .. } = &self.calls[index];
        self.accounts[*account].server.write(self.now, sign * work.speed);
        if sign < 0.0 && mark.is_some() {
            self.ours[2] += work.output;
        }
    }

    fn end(&mut self, index: usize) {
        let call = &mut self.calls[index];
        let Work { agent, bytes, input, output, .. } = call.work;
        let used = Used { input: input as u64, output: output as u64 };
        self.forecast.learn(&self.agents[agent], &self.class, (bytes, false), used.input);
        let account = &mut self.accounts[call.account];
        account.pace.settled(moment(self.now), call.mark.take().unwrap(), Outcome::Used(used));
        account.look = 0.0;
        self.figures.calls += 1;
    }

    fn refuse(&mut self, index: usize) {
        let call = &mut self.calls[index];
        let Refused { dimension, after } = call.refused.take().unwrap();
        let until = Some(moment(self.now) + chrono::TimeDelta::seconds(after));
        let outcome = Outcome::Refused(Refusal { dimension, until });
        let account = &mut self.accounts[call.account];
        account.pace.settled(moment(self.now), call.mark.take().unwrap(), outcome);
        account.look = 0.0;
        self.backlog.push_front(call.work);
        self.figures.calls += 1;
        self.figures.refused += 1;
    }
}
