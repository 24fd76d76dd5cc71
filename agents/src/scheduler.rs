//! Assigns requests to profiles: a shell around the pool.

use std::collections::HashMap;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle};
use polpo_metrics::{Metrics, ProfileGauges};
use polpo_policy::id::{ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::pool::{Command, Event, Pool};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::lease::{Lease, Place};
use crate::messages::{
    Acquire, Answer, Dispatch, Granted, Join, Observe, Settle, Snapshot, Withdraw,
};

/// Shell around [`Pool`]: turns messages into events and commands into messages.
pub struct Scheduler {
    pool: Pool,
    clock: Clock,
    metrics: Metrics,
    profiles: HashMap<ProfileId, Recipient<Dispatch>>, // Invariant: one for every seat.
    waiters: HashMap<Ticket, oneshot::Sender<Answer>>,
    tickets_issued: u64,
    alarm: Option<(Timestamp, SpawnHandle)>,
}

impl Scheduler {
    /// A scheduler of an empty pool.
    #[must_use]
    pub fn new(pool: Pool, clock: Clock, metrics: Metrics) -> Self {
        let (profiles, waiters) = (HashMap::new(), HashMap::new());
        Self { pool, clock, metrics, profiles, waiters, tickets_issued: 0, alarm: None }
    }

    /// The only path from the world into the pool and back.
    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        for command in self.pool.apply(self.clock.now(), event) {
            self.perform(command, ctx);
        }
        self.rearm(ctx);
        self.metrics.set_queue_depth(self.pool.queued());
        self.metrics.set_leases_in_flight(self.pool.leased());
    }

    fn perform(&mut self, command: Command, ctx: &Context<Self>) {
        let (ticket, answer) = match command {
            Command::Grant { ticket, lease, profile, alternative, waited } => {
                let Some(actor) = self.profiles.get(&profile).cloned() else { return };
                let lease = Lease::new(lease, profile, actor, ctx.address().recipient());
                (ticket, Ok(Granted { lease, alternative, waited }))
            }
            Command::Refuse { ticket, refusal } => (ticket, Err(refusal)),
        };
        // A waiter that went away drops the lease, which settles itself.
        if let Some(waiter) = self.waiters.remove(&ticket) {
            let _ = waiter.send(answer);
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
        for (profile, seat) in self.pool.seats() {
            self.metrics.set_profile_state(profile, seat.state());
            let gauges = ProfileGauges {
                in_flight: seat.in_flight,
                cooldown_until: seat.cooling_until(),
                last_used: seat.last_used,
            };
            self.metrics.set_profile_gauges(profile, gauges);
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
    type Result = MessageResult<Acquire>;

    fn handle(&mut self, acquire: Acquire, ctx: &mut Context<Self>) -> Self::Result {
        self.tickets_issued += 1;
        let ticket = Ticket(self.tickets_issued);
        self.waiters.insert(ticket, acquire.answer);
        self.step(Event::Requested { ticket, request: acquire.request }, ctx);
        MessageResult(Place::new(ticket, ctx.address().recipient()))
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
        let Settle { lease, verdict, organization } = settle;
        self.step(Event::Settled { lease, verdict, organization }, ctx);
    }
}

impl Handler<Join> for Scheduler {
    type Result = ();

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) {
        let Join { profile, provider, slots, actor } = join;
        self.profiles.insert(profile.clone(), actor);
        self.step(Event::Joined { profile, provider, slots }, ctx);
    }
}

impl Handler<Observe> for Scheduler {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        self.publish();
        MessageResult(self.snapshot())
    }
}
