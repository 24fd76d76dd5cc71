//! Assigns requests to profiles: a shell around the pool.

use std::collections::HashMap;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle};
use polpo_metrics::{Metrics, ProfileGauges};
use polpo_policy::id::{ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::pool::{Change, Command, Event, Pool};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::lease::Claim;
use crate::messages::{
    Acquire, Answer, Care, Explain, Flush, Join, Leave, Lend, Note, Observe, Recall, Remember,
    Report, Settle, Snapshot, Tend, Withdraw,
};

/// How soon the use of profiles is written down: a process that is killed forgets so much of it.
const USE_DELAY: Duration = Duration::from_secs(1);

/// How soon a change of state is written down: long enough for what changes together.
const CHANGE_DELAY: Duration = Duration::from_millis(50);

/// Shell around [`Pool`]: turns messages into events and commands into messages.
pub struct Scheduler {
    pool: Pool,
    clock: Clock,
    metrics: Metrics,
    profiles: HashMap<ProfileId, Recipient<Lend>>, // Invariant: one for every seat.
    waiters: HashMap<Ticket, oneshot::Sender<Answer>>,
    alarm: Option<(Timestamp, SpawnHandle)>,
    remember: Option<Recipient<Remember>>,
    flush: Option<(Timestamp, SpawnHandle)>,
}

impl Scheduler {
    /// A scheduler of an empty pool, which tells `remember`, if there is one, what is to be kept
    /// of the profiles.
    #[must_use]
    pub fn new(
        pool: Pool,
        clock: Clock,
        metrics: Metrics,
        remember: Option<Recipient<Remember>>,
    ) -> Self {
        Self {
            pool,
            clock,
            metrics,
            profiles: HashMap::new(),
            waiters: HashMap::new(),
            alarm: None,
            remember,
            flush: None,
        }
    }

    /// The only path from the world into the pool and back.
    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        self.steps([event], ctx);
    }

    /// Several events of one moment.
    fn steps(&mut self, events: impl IntoIterator<Item = Event>, ctx: &mut Context<Self>) {
        for event in events {
            for command in self.pool.apply(self.clock.now(), event) {
                self.perform(command, ctx);
            }
        }
        self.rearm(ctx);
        self.metrics.set_queue_depth(self.pool.queued());
        self.metrics.set_leases_in_flight(self.pool.leased());
        let changes = self.pool.take_changes();
        self.flush_within(if changes.is_empty() { USE_DELAY } else { CHANGE_DELAY }, ctx);
        changes.iter().for_each(|change| self.tell(change));
    }

    /// A change of a profile's state, for logs and metrics.
    fn tell(&self, change: &Change) {
        let Change { profile, from, to, cause, until } = change;
        self.metrics.set_profile_state(profile, *to);
        tracing::info!(
            target: "polpo::profile",
            %profile,
            from = from.label(),
            to = to.label(),
            reason = cause.map_or("", |cause| cause.label()),
            until = until.map(|until| until.to_rfc3339()),
            "profile changed"
        );
    }

    /// Has what is to be kept of the profiles kept soon.
    fn flush_within(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        if self.remember.is_none() || !self.pool.is_stale() {
            return;
        }
        let at = self.clock.now() + delay;
        if let Some((due, alarm)) = self.flush {
            if due <= at {
                return;
            }
            ctx.cancel_future(alarm);
        }
        let alarm = ctx.run_later(delay, |this, _| {
            this.flush = None;
            this.flush();
        });
        self.flush = Some((at, alarm));
    }

    #[expect(clippy::disallowed_methods, reason = "one Remember for each delay, so bounded")]
    fn flush(&mut self) {
        let Some(remember) = &self.remember else { return };
        let stale = self.pool.take_stale().into_iter();
        let health =
            stale.filter_map(|profile| Some((profile.clone(), self.pool.health(&profile)?)));
        remember.do_send(Remember(health.collect()));
    }

    #[expect(clippy::disallowed_methods, reason = "one Lend for each grant, so bounded")]
    fn perform(&mut self, command: Command, ctx: &Context<Self>) {
        match command {
            Command::Grant { ticket, lease, profile, alternative, waited, grounds } => {
                let told = (ctx.address().recipient(), ctx.address().recipient());
                let claim = Claim::new(lease, profile, told);
                // A claim that goes nowhere settles itself.
                let Some(answer) = self.waiters.remove(&ticket) else { return };
                let Some(actor) = self.profiles.get(claim.profile()) else {
                    debug_assert!(false, "a profile without an actor was granted");
                    return; // Who waits is told that the way is closed.
                };
                actor.do_send(Lend { claim, alternative, waited, grounds, answer });
            }
            Command::Refuse { ticket, refusal } => {
                if let Some(answer) = self.waiters.remove(&ticket) {
                    let _ = answer.send(Err(refusal)); // He may have gone away.
                }
            }
        }
    }

    /// Sets the alarm to the pool's next deadline, if that has moved.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let next = self.pool.next_deadline();
        if next == self.alarm.map(|(at, _)| at) {
            return;
        }
        if let Some((_, alarm)) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        self.alarm = next.map(|at| {
            let alarm = ctx.run_later(self.clock.until(at), |this, ctx| {
                this.alarm = None;
                this.clock.reanchor();
                this.step(Event::Woke, ctx);
            });
            (at, alarm)
        });
    }

    fn snapshot(&self) -> Snapshot {
        let waits = self.pool.waits();
        let first_until = waits.first().and_then(|wait| wait.until);
        Snapshot {
            profiles: ProfileState::ALL
                .into_iter()
                .map(|state| (state, self.pool.count(state)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            first_ends_in: first_until.map(|at| self.clock.until(at)),
            waits,
            queued: self.pool.queued(),
            leased: self.pool.leased(),
        }
    }

    fn publish(&self) {
        for report in self.pool.report() {
            self.metrics.set_profile_state(&report.profile, report.state);
            let gauges = ProfileGauges {
                in_flight: report.in_flight,
                cooldown_until: report.until,
                last_used: report.last_used,
            };
            self.metrics.set_profile_gauges(&report.profile, gauges);
        }
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Without a scheduler every request would wait for ever, and actix restarts nothing
            // after a panic: whoever supervises the process shall.
            tracing::error!("the scheduler panicked, so the process ends");
            std::process::exit(101);
        }
    }
}

impl Handler<Acquire> for Scheduler {
    type Result = ();

    fn handle(&mut self, acquire: Acquire, ctx: &mut Context<Self>) {
        let Acquire { ticket, request, answer } = acquire;
        self.waiters.insert(ticket, answer);
        self.step(Event::Requested { ticket, request }, ctx);
    }
}

impl Handler<Withdraw> for Scheduler {
    type Result = ();

    fn handle(&mut self, Withdraw(ticket): Withdraw, ctx: &mut Context<Self>) {
        self.waiters.remove(&ticket);
        self.step(Event::Withdrawn { ticket }, ctx);
    }
}

impl Handler<Settle> for Scheduler {
    type Result = ();

    fn handle(&mut self, settle: Settle, ctx: &mut Context<Self>) {
        let Settle { lease, verdict, used, reading } = settle;
        let answered = reading.map(|reading| Event::Answered { lease, reading });
        self.steps(answered.into_iter().chain([Event::Settled { lease, verdict, used }]), ctx);
    }
}

impl Handler<Note> for Scheduler {
    type Result = ();

    fn handle(&mut self, Note { lease, reading }: Note, ctx: &mut Context<Self>) {
        self.step(Event::Answered { lease, reading }, ctx);
    }
}

impl Handler<Join> for Scheduler {
    type Result = ();

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) {
        let Join { profile, provider, slots, health, actor } = join;
        self.profiles.insert(profile.clone(), actor);
        self.step(Event::Joined { profile, provider, slots, health }, ctx);
    }
}

impl Handler<Leave> for Scheduler {
    type Result = ();

    fn handle(&mut self, Leave(profile): Leave, ctx: &mut Context<Self>) {
        // It may be granted once more by what was due before it left.
        self.step(Event::Left { profile: profile.clone() }, ctx);
        self.profiles.remove(&profile);
        self.metrics.forget_profile(&profile);
    }
}

impl Handler<Recall> for Scheduler {
    type Result = ();

    fn handle(&mut self, Recall(known): Recall, ctx: &mut Context<Self>) {
        for (profile, health) in known {
            self.step(Event::Recalled { profile, health: Box::new(health) }, ctx);
        }
    }
}

impl Handler<Flush> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) {
        if let Some((_, alarm)) = self.flush.take() {
            ctx.cancel_future(alarm);
            self.flush();
        }
    }
}

impl Handler<Tend> for Scheduler {
    type Result = bool;

    fn handle(&mut self, Tend { profile, care }: Tend, ctx: &mut Context<Self>) -> bool {
        let is_known = self.profiles.contains_key(&profile);
        let event = match care {
            Care::Clear => Event::Cleared { profile },
            Care::Hold => Event::Held { profile },
            Care::Release => Event::Released { profile },
        };
        self.step(event, ctx);
        is_known
    }
}

impl Handler<Explain> for Scheduler {
    type Result = MessageResult<Explain>;

    fn handle(&mut self, Explain(request): Explain, ctx: &mut Context<Self>) -> Self::Result {
        self.step(Event::Woke, ctx);
        MessageResult(self.pool.explain(&request))
    }
}

impl Handler<Report> for Scheduler {
    type Result = MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.pool.report())
    }
}

impl Handler<Observe> for Scheduler {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        self.publish();
        MessageResult(self.snapshot())
    }
}
