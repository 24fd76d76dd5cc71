//! Plays runs on a pool, and keeps the books of what it answers.

use chrono::DateTime;
use polpo_policy::id::{LeaseId, ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::{Ladders, Standing};
use polpo_policy::pool::{Alternative, Event, Pool, Request, Verdict};

use crate::books::Books;
use crate::reference::{Answer, Grant};
use crate::transition::{PROFILES, Transition, after, provider, reading};

/// A pool, the clock, and whom it owes what.
pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) clock: Timestamp,
    /// The clock may step back; this does not.
    pub(crate) latest: Timestamp,
    queue_limit: usize,
    pub(crate) tickets: u64,
    pub(crate) waiting: Vec<(Ticket, Request)>,
    pub(crate) leases: Vec<LeaseId>,
}

impl World {
    pub(crate) fn new(queue_limit: usize) -> Self {
        Self {
            pool: Pool::new(queue_limit, Ladders::default()),
            clock: DateTime::UNIX_EPOCH,
            latest: DateTime::UNIX_EPOCH,
            queue_limit,
            tickets: 0,
            waiting: Vec::new(),
            leases: Vec::new(),
        }
    }

    /// What a transition means here and now; the clock moves, and a restart has happened.
    pub(crate) fn event(&mut self, transition: &Transition) -> Event {
        match transition {
            Transition::Join { profile, slots } => join(PROFILES[*profile], *slots),
            Transition::Leave { profile } => Event::Left { profile: PROFILES[*profile].into() },
            Transition::Recall { profile, memory } => Event::Recalled {
                profile: PROFILES[*profile].into(),
                health: Box::new(memory.health(self.clock)),
            },
            Transition::Clear { profile } => Event::Cleared { profile: PROFILES[*profile].into() },
            Transition::Hold { profile, is_held } => {
                let profile = PROFILES[*profile].into();
                if *is_held { Event::Held { profile } } else { Event::Released { profile } }
            }
            Transition::Ask(ask) => {
                self.tickets += 1;
                let request = ask.request(self.clock);
                Event::Requested { ticket: Ticket(self.tickets), request }
            }
            Transition::Withdraw { which } => match pick(&self.waiting, *which) {
                Some((ticket, _)) => Event::Withdrawn { ticket: *ticket },
                None => Event::Woke,
            },
            Transition::Answer { which, organization, workspace } => {
                let reading = reading(*organization, *workspace);
                match pick(&self.leases, *which) {
                    Some(lease) => Event::Answered { lease: *lease, reading },
                    None => Event::Woke,
                }
            }
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
            Transition::Restart => {
                self.restart();
                Event::Woke
            }
        }
    }

    /// What the next process is told: the profiles, with what is remembered of them.
    pub(crate) fn remembered(&self) -> Vec<Event> {
        let seats = self.pool.seats().map(|(profile, seat)| Event::Joined {
            profile: profile.clone(),
            provider: seat.provider.clone(),
            slots: seat.slots,
            health: Box::new(self.pool.health(profile).expect("it has joined")),
        });
        seats.collect()
    }

    /// The process ends, with all who wait or are served, and another begins when the clock is
    /// right.
    pub(crate) fn restart(&mut self) {
        self.clock = self.latest;
        let remembered = self.remembered();
        self.pool = Pool::new(self.queue_limit, Ladders::default());
        self.waiting.clear();
        self.leases.clear();
        for joined in remembered {
            self.play(joined);
        }
    }

    /// Plays an event.
    ///
    /// # Panics
    /// When a ticket is answered that is not owed an answer: the first law.
    pub(crate) fn play(&mut self, event: Event) -> Vec<(Request, Answer)> {
        match &event {
            Event::Requested { ticket, request } => self.waiting.push((*ticket, request.clone())),
            Event::Settled { lease, .. } => self.leases.retain(|it| it != lease),
            Event::Joined { .. }
            | Event::Left { .. }
            | Event::Recalled { .. }
            | Event::Cleared { .. }
            | Event::Held { .. }
            | Event::Released { .. }
            | Event::Answered { .. }
            | Event::Withdrawn { .. }
            | Event::Woke => {}
        }
        let withdrawn = if let Event::Withdrawn { ticket } = &event { Some(*ticket) } else { None };
        self.latest = self.latest.max(self.clock);
        let commands = self.pool.apply(self.clock, event).into_iter();
        let answers = commands.map(|command| self.note(command.into())).collect();
        // It may have been answered by what was due before it withdrew.
        self.waiting.retain(|(ticket, _)| Some(*ticket) != withdrawn);
        answers
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
    let (profile, provider) = (profile.into(), provider(profile).into());
    Event::Joined { profile, provider, slots, health: Box::default() }
}

pub(crate) fn settled(lease: LeaseId, verdict: Verdict) -> Event {
    Event::Settled { lease, verdict, used: None }
}

/// A grant, and how things stood just before it.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) request: Request,
    pub(crate) wanted: Alternative,
    pub(crate) profile: ProfileId,
    /// How the profile stood for what was wanted.
    pub(crate) standing: Standing,
    pub(crate) service: Standing,
    pub(crate) held: usize,
    pub(crate) slots: usize,
    /// Everyone who could have served it, the one unused for longest first.
    pub(crate) eligible: Vec<ProfileId>,
    /// Of the eligible, those that have its cache warm.
    pub(crate) warm: Vec<ProfileId>,
    /// Whether it has served an earlier turn.
    pub(crate) has_served: bool,
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
        let remembered = self.world.remembered();
        let event = self.world.event(transition);
        if let Transition::Restart = transition {
            self.books = Books::new();
            self.books.pass(self.world.clock);
            remembered.iter().for_each(|joined| self.books.note(joined));
        }
        let mut decisions = self.tell(Event::Woke);
        decisions.extend(self.tell(event));
        decisions
    }

    pub(crate) fn tell(&mut self, event: Event) -> Vec<Decision> {
        self.books.pass(self.world.clock);
        self.books.note(&event);
        if let Event::Settled { lease, verdict, .. } = &event {
            self.books.settle(*lease, verdict);
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
        let mut asked = request.clone();
        self.books.forgive(&mut asked);
        if self.books.avoided(&asked, &wanted, &profile).is_some_and(|it| it.is_some()) {
            asked.rather = None; // It stood in a list, where nobody looks at that.
        }
        let may = |name: &ProfileId| {
            wanted.pin.as_ref().is_none_or(|pin| pin == name)
                && self.books.avoided(&asked, &wanted, name).is_none()
        };
        let ready = self.books.ready(&wanted.provider, &wanted.class).into_iter();
        let eligible: Vec<_> = ready.map(|it| it.name.clone()).filter(may).collect();
        let home = self.books.home_of(&request, &wanted);
        let warm = eligible.iter().filter(|name| {
            let shares = |home| self.books.profile(name).is_some_and(|it| it.shares_cache(home));
            home.is_some_and(shares)
        });
        let warm = warm.cloned().collect();
        let seat = self.books.profile(&profile).expect("it has joined").clone();
        let (standing, held) =
            (self.books.standing(&seat, &wanted.class), self.books.held(&profile));
        let service = self.books.service(&wanted.provider, &wanted.class);
        let has_served = self.books.has_served(&request, &profile);
        let session = request.session.as_ref();
        let expected = self.books.grant(&profile, &wanted.class, session);
        assert_eq!(expected, lease, "leases are numbered in order");
        let slots = seat.slots as usize;
        Decision {
            request,
            wanted,
            profile,
            standing,
            service,
            held,
            slots,
            eligible,
            warm,
            has_served,
        }
    }
}

/// As many wait as may in most runs; few enough to be reached.
pub(crate) const QUEUE_LIMIT: usize = 12;
