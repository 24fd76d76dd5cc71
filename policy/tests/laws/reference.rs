//! The decisions of a pool, made from the books as plainly as the rules say them: every list is
//! searched from end to end each time.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::id::{AgentId, LeaseId, ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Alternative, Command, Event, Refusal, Request, Verdict};

use crate::books::Books;

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted { ticket: Ticket, grant: Grant, waited: Option<TimeDelta> },
    Refused { ticket: Ticket, refusal: Refusal },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) lease: LeaseId,
    pub(crate) profile: ProfileId,
    pub(crate) alternative: usize,
}

impl From<Command> for Answer {
    fn from(command: Command) -> Self {
        match command {
            Command::Grant { ticket, lease, profile, alternative, waited } => {
                let waited = waited.map(|(_, waited)| waited);
                Self::Granted { ticket, grant: Grant { lease, profile, alternative }, waited }
            }
            Command::Refuse { ticket, refusal } => Self::Refused { ticket, refusal },
        }
    }
}

#[derive(Clone, Debug)]
enum Place {
    /// For the alternative of this number.
    Listed(usize),
    Paused(Timestamp),
}

#[derive(Clone, Debug)]
struct Waiter {
    ticket: Ticket,
    request: Request,
    place: Place,
    since: Timestamp,
    /// How many leases had been issued when it came to its place.
    entered: u64,
}

impl Waiter {
    fn list(&self) -> Option<&Alternative> {
        match self.place {
            Place::Listed(alternative) => Some(&self.request.alternatives[alternative]),
            Place::Paused(_) => None,
        }
    }
}

/// A grant to the head of a list.
#[derive(Clone, Debug)]
struct Turn {
    list: Alternative,
    number: u64,
    agent: AgentId,
}

/// The naive pool.
pub(crate) struct Reference {
    pub(crate) books: Books,
    queue_limit: usize,
    waiters: Vec<Waiter>,
    turns: Vec<Turn>,
    /// The return of a list's profiles when its waiters last looked around.
    expected: Vec<(Alternative, Timestamp)>,
    answers: Vec<Answer>,
}

impl Reference {
    pub(crate) fn new(queue_limit: usize) -> Self {
        Self {
            books: Books::new(),
            queue_limit,
            waiters: Vec::new(),
            turns: Vec::new(),
            expected: Vec::new(),
            answers: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, now: Timestamp, event: Event) -> Vec<Answer> {
        self.pass(now);
        match event {
            Event::Joined { profile, provider, slots } => {
                self.books.join(&profile, &provider, slots);
            }
            Event::Requested { ticket, request } => self.place(ticket, request, self.books.now),
            Event::Withdrawn { ticket } => drop(self.remove(ticket)),
            Event::Settled { lease, verdict, .. } => self.settle(lease, &verdict),
            Event::Woke => {}
        }
        self.pass(now);
        std::mem::take(&mut self.answers)
    }

    /// When something happens by itself.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let records = self.books.profiles.iter().flat_map(|profile| {
            profile.classes.iter().map(|(_, record)| record).chain([&profile.whole])
        });
        let windows = records.filter_map(|record| record.window.flatten());
        let waits = self.waiters.iter().flat_map(|waiter| {
            let pause = match waiter.place {
                Place::Paused(until) => Some(until),
                Place::Listed(_) => None,
            };
            [pause, waiter.request.deadline].into_iter().flatten()
        });
        windows.chain(waits).min()
    }

    pub(crate) fn queued(&self) -> usize {
        self.waiters.len()
    }

    fn pass(&mut self, now: Timestamp) {
        self.books.pass(now);
        while self.serve_one() {}
        while let Some((until, ticket)) = self.paused().min()
            && until <= self.books.now
        {
            self.look_again(ticket);
        }
        let now = self.books.now;
        let due = |waiter: &Waiter| Some((waiter.request.deadline?, waiter.ticket));
        while let Some((_, ticket)) =
            self.waiters.iter().filter_map(due).filter(|(at, _)| *at <= now).min()
        {
            self.remove(ticket);
            self.answers.push(Answer::Refused { ticket, refusal: Refusal::TimedOut });
        }
    }

    fn paused(&self) -> impl Iterator<Item = (Timestamp, Ticket)> {
        self.waiters.iter().filter_map(|waiter| match waiter.place {
            Place::Paused(until) => Some((until, waiter.ticket)),
            Place::Listed(_) => None,
        })
    }

    /// Serves the list that has waited longest for its turn, and in it the agent whose turn it is.
    fn serve_one(&mut self) -> bool {
        let servable = self.lists().into_iter().filter(|list| self.oldest(list).is_some());
        let Some(list) = servable.min_by_key(|list| (self.turn(list).0, list.clone())) else {
            return false;
        };
        let (_, last) = self.turn(&list);
        let inside = self.waiters.iter().filter(|waiter| waiter.list() == Some(&list));
        let agents = inside.clone().map(|waiter| &waiter.request.agent);
        let after = agents.clone().filter(|agent| last.as_ref().is_none_or(|last| *agent > last));
        let agent = after.min().or_else(|| agents.min()).cloned();
        let first = inside.filter(|it| Some(&it.request.agent) == agent.as_ref());
        let first = first.map(|it| it.ticket).min();
        let (Some(ticket), Some(agent), Some(profile)) = (first, agent, self.oldest(&list)) else {
            return false;
        };
        self.turns.push(Turn { list, number: self.books.grants + 1, agent });
        if let Some(waiter) = self.remove(ticket)
            && let Place::Listed(alternative) = waiter.place
        {
            let waited = Some(self.books.now - waiter.since);
            self.grant(ticket, &waiter.request, (alternative, &profile), waited);
        }
        true
    }

    /// The lists that somebody waits in, in order.
    fn lists(&self) -> Vec<Alternative> {
        let mut lists: Vec<_> = self.waiters.iter().filter_map(Waiter::list).cloned().collect();
        lists.sort();
        lists.dedup();
        lists
    }

    /// When a list had its last turn, and who; one that nobody waits in since then starts anew.
    fn turn(&self, list: &Alternative) -> (u64, Option<AgentId>) {
        let inside = self.waiters.iter().filter(|waiter| waiter.list() == Some(list));
        let opened = inside.map(|waiter| waiter.entered).min().unwrap_or_default();
        let last = self.turns.iter().rfind(|turn| turn.list == *list && turn.number > opened);
        last.map_or((opened, None), |turn| (turn.number, Some(turn.agent.clone())))
    }

    /// The profile that whoever wants this would get now.
    fn oldest(&self, wanted: &Alternative) -> Option<ProfileId> {
        let ready = self.books.ready(&wanted.provider, &wanted.class);
        let mut fitting = ready.iter().filter(|it| fits(wanted, &it.name));
        fitting.next().map(|profile| profile.name.clone())
    }

    fn grant(
        &mut self,
        ticket: Ticket,
        request: &Request,
        (alternative, profile): (usize, &ProfileId),
        waited: Option<TimeDelta>,
    ) {
        let lease = self.books.grant(profile, &request.alternatives[alternative].class);
        let grant = Grant { lease, profile: profile.clone(), alternative };
        self.answers.push(Answer::Granted { ticket, grant, waited });
    }

    /// Finds a request its place: the first alternative with a healthy profile, else the one
    /// that is back first.
    fn place(&mut self, ticket: Ticket, mut request: Request, since: Timestamp) {
        let now = self.books.now;
        request.avoid.retain(|_, until| until.is_none_or(|until| until > now));
        if let Some(at) = request.not_before.filter(|at| *at > now) {
            return self.wait(ticket, request, since, Place::Paused(at));
        }
        let mut back: Vec<(Timestamp, usize)> = Vec::new();
        for (number, wanted) in request.alternatives.iter().enumerate() {
            let candidates = || {
                let all = self.books.profiles.iter();
                all.filter(|it| it.provider == wanted.provider && fits(wanted, &it.name))
                    .filter(|it| !matches!(request.avoid.get(&it.name), Some(None)))
            };
            let avoided = |name: &ProfileId| request.avoid.get(name).copied().flatten();
            let ready = self.books.ready(&wanted.provider, &wanted.class);
            let mut free = ready.iter().filter(|it| fits(wanted, &it.name));
            if let Some(profile) = free.find(|it| !request.avoid.contains_key(&it.name)) {
                let profile = profile.name.clone();
                let waited = (since < now).then(|| now - since);
                return self.grant(ticket, &request, (number, &profile), waited);
            }
            let standings = candidates().map(|it| (it, self.books.standing(it, &wanted.class)));
            // Healthy ones are waited for; where some are avoided, by looking again.
            let healthy = standings
                .clone()
                .filter(|(_, standing)| matches!(standing, Standing::Ready | Standing::Busy));
            let soonest =
                healthy.map(|(it, _)| avoided(&it.name).unwrap_or(now + TimeDelta::seconds(1)));
            if let Some(at) = soonest.min() {
                let place = match request.avoid.is_empty() {
                    true => Place::Listed(number),
                    false => Place::Paused(at),
                };
                return self.wait(ticket, request, since, place);
            }
            let returns = standings.filter_map(|(it, standing)| match standing {
                Standing::Back(at) => Some(avoided(&it.name).map_or(at, |until| until.max(at))),
                Standing::Ready | Standing::Busy | Standing::Gone => None,
            });
            back.extend(returns.min().map(|at| (at, number)));
        }
        match back.into_iter().min() {
            // In a list it could get a profile that it avoids.
            Some((at, _)) if !request.avoid.is_empty() => {
                self.wait(ticket, request, since, Place::Paused(at));
            }
            Some((_, number)) => self.wait(ticket, request, since, Place::Listed(number)),
            None => {
                let refusal = Refusal::NoCredential;
                self.answers.push(Answer::Refused { ticket, refusal });
            }
        }
    }

    fn wait(&mut self, ticket: Ticket, request: Request, since: Timestamp, place: Place) {
        if self.waiters.len() >= self.queue_limit {
            let refusal = Refusal::QueueFull;
            self.answers.push(Answer::Refused { ticket, refusal });
            return;
        }
        let soon = self.books.now + TimeDelta::milliseconds(1);
        let place = match place {
            Place::Paused(until) => Place::Paused(until.max(soon)),
            listed @ Place::Listed(_) => listed,
        };
        let waiter = Waiter { ticket, request, place, since, entered: self.books.grants };
        if let Some(list) = waiter.list().cloned()
            && matches!(self.best(&list), Standing::Ready | Standing::Busy)
        {
            self.expected.retain(|(it, _)| *it != list);
        }
        self.waiters.push(waiter);
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let at = self.waiters.iter().position(|waiter| waiter.ticket == ticket)?;
        let waiter = self.waiters.remove(at);
        let lists = self.lists();
        self.expected.retain(|(list, _)| lists.contains(list));
        Some(waiter)
    }

    fn look_again(&mut self, ticket: Ticket) {
        if let Some(waiter) = self.remove(ticket) {
            self.place(ticket, waiter.request, waiter.since);
        }
    }

    /// How those that can serve a list stand, the best of them.
    fn best(&self, wanted: &Alternative) -> Standing {
        let all = self.books.profiles.iter();
        let fitting = all.filter(|it| it.provider == wanted.provider && fits(wanted, &it.name));
        let standings = fitting.map(|profile| self.books.standing(profile, &wanted.class));
        let rank = |standing: &Standing| match standing {
            Standing::Ready => (0, None),
            Standing::Busy => (1, None),
            Standing::Back(at) => (2, Some(*at)),
            Standing::Gone => (3, None),
        };
        standings.min_by_key(rank).unwrap_or(Standing::Gone)
    }

    fn settle(&mut self, lease: LeaseId, verdict: &Verdict) {
        let held = self.books.leases.iter().find(|held| held.id == lease);
        let Some(profile) = held.map(|held| held.profile.clone()) else { return };
        self.books.settle(lease, verdict);
        let (Verdict::Failed(failure), provider) = (verdict, self.provider(&profile)) else {
            return;
        };
        if !matches!(failure, Failure::Overloaded | Failure::Faulty | Failure::Network) {
            self.look_around(&provider);
        }
    }

    fn provider(&mut self, profile: &ProfileId) -> polpo_policy::id::ProviderId {
        self.books.profile(profile).provider.clone()
    }

    /// Where nobody healthy is left, those with another alternative look around, once for each
    /// second that the return moves; where nobody ever will be, all do.
    fn look_around(&mut self, provider: &polpo_policy::id::ProviderId) {
        for list in self.lists().into_iter().filter(|list| list.provider == *provider) {
            let back = match self.best(&list) {
                Standing::Ready | Standing::Busy => continue,
                Standing::Back(at) => Some(at),
                Standing::Gone => None,
            };
            let known = self.expected.iter().find(|(it, _)| *it == list).map(|(_, at)| *at);
            if let (Some(known), Some(back)) = (known, back)
                && (back - known).abs() < TimeDelta::seconds(1)
            {
                continue;
            }
            self.expected.retain(|(it, _)| *it != list);
            self.expected.extend(back.map(|at| (list.clone(), at)));
            let inside = self.waiters.iter().filter(|waiter| waiter.list() == Some(&list));
            let looking = inside.filter(|it| back.is_none() || it.request.alternatives.len() > 1);
            let mut tickets: Vec<_> = looking.map(|waiter| waiter.ticket).collect();
            tickets.sort();
            for ticket in tickets {
                self.look_again(ticket);
            }
        }
    }
}

fn fits(wanted: &Alternative, profile: &ProfileId) -> bool {
    wanted.pin.as_ref().is_none_or(|pin| pin == profile)
}
