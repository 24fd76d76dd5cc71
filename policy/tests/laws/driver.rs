//! Plays runs on a pool, and keeps the books of what it answers.

use chrono::DateTime;
use polpo_policy::id::{LeaseId, ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::{Ladders, Standing};
use polpo_policy::pool::{Alternative, Event, Pool, Request, Verdict};

use crate::books::Books;
use crate::reference::{Answer, Grant};
use crate::transition::{PROFILES, Transition, after, provider};

/// A pool, the clock, and whom it owes what.
pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) clock: Timestamp,
    pub(crate) tickets: u64,
    pub(crate) waiting: Vec<(Ticket, Request)>,
    pub(crate) leases: Vec<LeaseId>,
}

impl World {
    pub(crate) fn new(queue_limit: usize) -> Self {
        Self {
            pool: Pool::new(queue_limit, Ladders::default()),
            clock: DateTime::UNIX_EPOCH,
            tickets: 0,
            waiting: Vec::new(),
            leases: Vec::new(),
        }
    }

    /// What a transition means here and now; the clock moves.
    pub(crate) fn event(&mut self, transition: &Transition) -> Event {
        match transition {
            Transition::Join { profile, slots } => join(PROFILES[*profile], *slots),
            Transition::Ask(ask) => {
                self.tickets += 1;
                let request = ask.request(self.clock);
                Event::Requested { ticket: Ticket(self.tickets), request }
            }
            Transition::Withdraw { which } => match pick(&self.waiting, *which) {
                Some((ticket, _)) => Event::Withdrawn { ticket: *ticket },
                None => Event::Woke,
            },
            Transition::Settle { which, ending } => match pick(&self.leases, *which) {
                Some(lease) => settled(*lease, ending.verdict(self.clock)),
                None => Event::Woke,
            },
            Transition::Wait { seconds } => {
                self.clock = after(self.clock, *seconds);
                Event::Woke
            }
            Transition::Sleep => {
                self.clock = self.pool.next_deadline().unwrap_or(self.clock).max(self.clock);
                Event::Woke
            }
        }
    }

    /// Plays an event.
    ///
    /// # Panics
    /// When a ticket is answered that is not owed an answer: the first law.
    pub(crate) fn play(&mut self, event: Event) -> Vec<(Request, Answer)> {
        match &event {
            Event::Requested { ticket, request } => self.waiting.push((*ticket, request.clone())),
            Event::Withdrawn { ticket } => self.waiting.retain(|(it, _)| it != ticket),
            Event::Settled { lease, .. } => self.leases.retain(|it| it != lease),
            Event::Joined { .. } | Event::Woke => {}
        }
        let commands = self.pool.apply(self.clock, event).into_iter();
        commands.map(|command| self.note(command.into())).collect()
    }

    fn note(&mut self, answer: Answer) -> (Request, Answer) {
        let (Answer::Granted { ticket, .. } | Answer::Refused { ticket, .. }) = &answer;
        let at = self.waiting.iter().position(|(it, _)| it == ticket);
        let at = at.unwrap_or_else(|| panic!("{ticket:?} is not owed an answer: {answer:?}"));
        if let Answer::Granted { grant, .. } = &answer {
            self.leases.push(grant.lease);
        }
        (self.waiting.remove(at).1, answer)
    }
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    all.get(which % all.len().max(1))
}

pub(crate) fn join(profile: &str, slots: u32) -> Event {
    Event::Joined { profile: profile.into(), provider: provider(profile).into(), slots }
}

pub(crate) fn settled(lease: LeaseId, verdict: Verdict) -> Event {
    Event::Settled { lease, verdict, organization: None }
}

/// A grant, and how things stood just before it.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) request: Request,
    pub(crate) wanted: Alternative,
    pub(crate) profile: ProfileId,
    /// How the profile stood for what was wanted.
    pub(crate) standing: Standing,
    pub(crate) held: usize,
    pub(crate) slots: usize,
    /// Everyone who could have served it, the one unused for longest first.
    pub(crate) eligible: Vec<ProfileId>,
}

/// A world with books. It wakes the pool before each event, so that what an event leads to is
/// told from what was due by then, and every grant is judged by the state it was made in.
pub(crate) struct Watched {
    pub(crate) world: World,
    pub(crate) books: Books,
}

impl Watched {
    pub(crate) fn new() -> Self {
        Self { world: World::new(QUEUE_LIMIT), books: Books::new() }
    }

    pub(crate) fn play(&mut self, transition: &Transition) -> Vec<Decision> {
        let event = self.world.event(transition);
        let mut decisions = self.tell(Event::Woke);
        decisions.extend(self.tell(event));
        decisions
    }

    pub(crate) fn tell(&mut self, event: Event) -> Vec<Decision> {
        self.books.pass(self.world.clock);
        match &event {
            Event::Joined { profile, provider, slots } => {
                self.books.join(profile, provider, *slots);
            }
            Event::Settled { lease, verdict, .. } => self.books.settle(*lease, verdict),
            Event::Requested { .. } | Event::Withdrawn { .. } | Event::Woke => {}
        }
        self.books.pass(self.world.clock); // A window may be over as soon as it begins.
        let answers = self.world.play(event).into_iter();
        let decisions = answers.filter_map(|(request, answer)| match answer {
            Answer::Granted { grant, .. } => Some(self.judge(request, grant)),
            Answer::Refused { .. } => None,
        });
        decisions.collect()
    }

    fn judge(&mut self, request: Request, grant: Grant) -> Decision {
        let Grant { lease, profile, alternative } = grant;
        let wanted = request.alternatives[alternative].clone();
        let now = self.books.now;
        self.books.pass(now); // Each grant takes a nanosecond, in which a window may have ended.
        let may = |name: &ProfileId| {
            wanted.pin.as_ref().is_none_or(|pin| pin == name)
                && request.avoid.get(name).is_none_or(|it| it.is_some_and(|until| until <= now))
        };
        let ready = self.books.ready(&wanted.provider, &wanted.class).into_iter();
        let eligible = ready.map(|it| it.name.clone()).filter(may).collect();
        let seat = self.books.profile(&profile).clone();
        let (standing, held) =
            (self.books.standing(&seat, &wanted.class), self.books.held(&profile));
        assert_eq!(
            self.books.grant(&profile, &wanted.class),
            lease,
            "leases are numbered in order"
        );
        let slots = seat.slots as usize;
        Decision { request, wanted, profile, standing, held, slots, eligible }
    }
}

/// As many wait as may in most runs; few enough to be reached.
pub(crate) const QUEUE_LIMIT: usize = 12;
