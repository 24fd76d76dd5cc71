//! The decisions of a pool, made from the books as plainly as the rules say them: every list is
//! searched from end to end each time.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::id::{AgentId, LeaseId, ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Alternative, Command, Event, Refusal, Request, Verdict};

use crate::books::{Books, Profile};
use crate::choice::{Choice, fits};
use crate::waiter::{Place, Waiter};

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
            Command::Grant { ticket, lease, profile, alternative, waited, .. } => {
                let waited = waited.map(|(_, waited)| waited);
                Self::Granted { ticket, grant: Grant { lease, profile, alternative }, waited }
            }
            Command::Refuse { ticket, refusal } => Self::Refused { ticket, refusal },
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
            Event::Requested { ticket, request } => self.place(ticket, request, self.books.now),
            Event::Withdrawn { ticket } => drop(self.remove(ticket)),
            Event::Settled { lease, verdict, .. } => self.settle(lease, &verdict),
            Event::Joined { .. }
            | Event::Left { .. }
            | Event::Recalled { .. }
            | Event::Cleared { .. }
            | Event::Held { .. }
            | Event::Released { .. }
            | Event::Answered { .. } => self.hear(&event),
            Event::Woke => {}
        }
        self.pass(now);
        std::mem::take(&mut self.answers)
    }

    /// When something happens by itself.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let windows = self.books.records.iter().filter_map(|(_, it)| Some(it.window?.1));
        let waits = self.waiters.iter().flat_map(|waiter| {
            [waiter.looks_again_at(), waiter.request.deadline].into_iter().flatten()
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
            self.look_again(ticket);
        }
    }

    fn paused(&self) -> impl Iterator<Item = (Timestamp, Ticket)> {
        self.waiters.iter().filter_map(|waiter| Some((waiter.looks_again_at()?, waiter.ticket)))
    }

    /// Serves the list that has waited longest for its turn.
    fn serve_one(&mut self) -> bool {
        let servable = self.lists().into_iter().filter(|list| self.candidate(list).is_some());
        let Some(list) = servable.min_by_key(|list| (self.turn(list).0, list.clone())) else {
            return false;
        };
        let (Some(profile), Some(head)) = (self.candidate(&list), self.head(&list).cloned()) else {
            return false;
        };
        if self.has_lost_home(&head) {
            self.look_again(head.ticket);
            return true;
        }
        let agent = head.request.agent.clone();
        self.turns.push(Turn { list, number: self.books.grants + 1, agent });
        if let Some(waiter) = self.remove(head.ticket)
            && let Place::Listed(alternative, _) = waiter.place
        {
            let waited = Some(self.books.now - waiter.since);
            self.grant(head.ticket, &waiter.request, (alternative, &profile), waited);
        }
        true
    }

    /// The next in a list: the oldest of the agent whose turn it is.
    fn head(&self, list: &Alternative) -> Option<&Waiter> {
        let (_, last) = self.turn(list);
        let inside = self.waiters.iter().filter(|waiter| waiter.list().as_ref() == Some(list));
        let agents = inside.clone().map(|waiter| &waiter.request.agent);
        let after = agents.clone().filter(|agent| last.as_ref().is_none_or(|last| *agent > last));
        let agent = after.min().or_else(|| agents.min())?;
        inside.filter(|it| it.request.agent == *agent).min_by_key(|it| it.ticket)
    }

    /// The profile that the next in a list would get now: one that has its cache, if it can.
    fn candidate(&self, list: &Alternative) -> Option<ProfileId> {
        let head = self.head(list)?;
        let Place::Listed(number, _) = head.place else { return None };
        let warm = self.books.warm(&head.request, &head.request.alternatives[number]);
        warm.or_else(|| self.oldest(list))
    }

    /// Whether what somebody waits for at a home is at home there no more.
    fn has_lost_home(&self, waiter: &Waiter) -> bool {
        matches!(waiter.place, Place::Listed(number, Some(_))
            if self.books.home_of(&waiter.request, &waiter.request.alternatives[number]).is_none())
    }

    /// The lists that somebody waits in, in order.
    fn lists(&self) -> Vec<Alternative> {
        let mut lists: Vec<_> = self.waiters.iter().filter_map(Waiter::list).collect();
        lists.sort();
        lists.dedup();
        lists
    }

    /// When a list had its last turn, and who; one that nobody waits in since then starts anew.
    fn turn(&self, list: &Alternative) -> (u64, Option<AgentId>) {
        let inside = self.waiters.iter().filter(|waiter| waiter.list().as_ref() == Some(list));
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
        let class = &request.alternatives[alternative].class;
        let lease = self.books.grant(profile, class, request.session.as_ref());
        let grant = Grant { lease, profile: profile.clone(), alternative };
        self.answers.push(Answer::Granted { ticket, grant, waited });
    }

    /// Finds a request its place.
    fn place(&mut self, ticket: Ticket, mut request: Request, since: Timestamp) {
        let now = self.books.now;
        self.books.forgive(&mut request);
        match self.books.choose(&request, since) {
            Choice::Grant(number, profile) => {
                let waited = (since < now).then(|| now - since);
                self.grant(ticket, &request, (number, &profile), waited);
            }
            Choice::List(number) => self.wait(ticket, request, since, Place::Listed(number, None)),
            Choice::Home(number, home) => {
                self.wait(ticket, request, since, Place::Listed(number, Some(home)));
            }
            Choice::Pause(at) => self.wait(ticket, request, since, Place::Paused(at)),
            Choice::Refuse(refusal) => self.answers.push(Answer::Refused { ticket, refusal }),
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
            listed @ Place::Listed(..) => listed,
        };
        let waiter = Waiter { ticket, request, place, since, entered: self.books.grants };
        if let Some(list) = waiter.list()
            && matches!(self.books.best(&list), Standing::Ready | Standing::Busy)
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

    fn settle(&mut self, lease: LeaseId, verdict: &Verdict) {
        let Some(lease) = self.books.settle(lease, verdict) else { return };
        let Verdict::Failed(failure) = verdict else { return };
        let is_in_service = self.books.service(&lease.provider, &lease.class) == Standing::Ready;
        let is_fault = matches!(failure, Failure::Overloaded | Failure::Faulty | Failure::Network);
        if !is_fault || !is_in_service {
            self.look_around();
        }
    }

    /// Something is told of a profile, which may be worse than before.
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Joined { profile, .. }
            | Event::Left { profile }
            | Event::Recalled { profile, .. }
            | Event::Held { profile }
            | Event::Released { profile } => {
                let before = self.books.profile(profile).cloned();
                self.books.note(event);
                let known = before.or_else(|| self.books.profile(profile).cloned());
                let Some(known) = known else { return };
                self.look_around();
                let words = |it: &Profile| (it.cleared_at, it.released_at);
                let is_better = match event {
                    Event::Joined { .. } | Event::Released { .. } => true,
                    Event::Recalled { .. } => {
                        self.books.profile(profile).map(words) != Some(words(&known))
                    }
                    Event::Left { .. }
                    | Event::Cleared { .. }
                    | Event::Held { .. }
                    | Event::Requested { .. }
                    | Event::Withdrawn { .. }
                    | Event::Answered { .. }
                    | Event::Settled { .. }
                    | Event::Woke => false,
                };
                if is_better {
                    self.call_back();
                }
            }
            Event::Answered { lease, .. } => {
                let lease = self.books.leases.iter().find(|it| it.id == *lease).cloned();
                self.books.note(event);
                let Some(known) = lease else { return };
                let now = self.books.leases.iter().find(|it| it.id == known.id);
                if now.is_some_and(|now| now.whose != known.whose) {
                    self.look_around();
                }
            }
            Event::Cleared { profile } => {
                let is_known = self.books.profile(profile).is_some();
                self.books.note(event);
                if is_known {
                    self.call_back();
                }
            }
            Event::Requested { .. }
            | Event::Withdrawn { .. }
            | Event::Settled { .. }
            | Event::Woke => self.books.note(event),
        }
    }

    /// Something may be better: who is out of the way, or waits for the soonest of several models,
    /// looks again.
    fn call_back(&mut self) {
        while self.serve_one() {}
        let looking = self.waiters.iter().filter(|waiter| match waiter.list() {
            None => true,
            Some(list) => {
                let is_second = matches!(waiter.place, Place::Listed(number, _) if number > 0);
                let is_healthy = matches!(self.books.best(&list), Standing::Ready | Standing::Busy);
                is_second || (waiter.request.alternatives.len() > 1 && !is_healthy)
            }
        });
        let mut tickets: Vec<_> = looking.map(|waiter| waiter.ticket).collect();
        tickets.sort();
        for ticket in tickets {
            self.books.pass(self.books.now); // Each grant takes a nanosecond.
            self.look_again(ticket);
        }
    }

    /// Where nobody healthy is left, those with another alternative look around, once for each
    /// second that the return moves, and those to whom it is too late; where nobody ever will be,
    /// all do.
    fn look_around(&mut self) {
        for list in self.lists() {
            let back = match self.books.best(&list) {
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
            let inside = self.waiters.iter().filter(|it| it.list().as_ref() == Some(&list));
            let looking = inside.filter(|waiter| {
                let mut ends = [waiter.looks_again_at(), waiter.request.deadline].into_iter();
                let is_too_late = ends.any(|end| end.is_some() && back > end);
                back.is_none() || is_too_late || waiter.request.alternatives.len() > 1
            });
            let mut tickets: Vec<_> = looking.map(|waiter| waiter.ticket).collect();
            tickets.sort();
            for ticket in tickets {
                self.look_again(ticket);
            }
        }
    }
}
