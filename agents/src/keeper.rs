//! Keeps the health of profiles in their file: one write at a time, of all that has gathered.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture};
use polpo_policy::health::Health;
use polpo_policy::id::ProfileId;
use polpo_store::profiles::{ProfileFile, ProfileFileError, as_kept};
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

use crate::messages::{Flush, Found, Recall, Remember};

/// How often it is said that the file cannot be written: each second would drown all else.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Keeps what is remembered of profiles.
pub struct Keeper {
    file: ProfileFile,
    recall: Recipient<Recall>,
    /// What is to be written.
    pending: BTreeMap<ProfileId, Health>,
    /// What is being written.
    sent: Option<BTreeMap<ProfileId, Health>>,
    /// What the file last said, which the scheduler knows or was told.
    known: BTreeMap<ProfileId, Health>,
    flushes: Vec<oneshot::Sender<()>>,
    warned_at: Option<Instant>,
}

impl Keeper {
    /// A keeper of `file`, which tells `recall` what other processes have learned.
    #[must_use]
    pub const fn new(file: ProfileFile, recall: Recipient<Recall>) -> Self {
        Self {
            file,
            recall,
            pending: BTreeMap::new(),
            sent: None,
            known: BTreeMap::new(),
            flushes: Vec::new(),
            warned_at: None,
        }
    }

    /// Writes what has gathered, unless a write is under way: it comes back here.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.sent.is_some() {
            return;
        }
        if self.pending.is_empty() {
            self.flushed();
            return;
        }
        let (file, health) = (self.file.clone(), std::mem::take(&mut self.pending));
        self.sent = Some(health.clone());
        let work = wrap_future::<_, Self>(spawn_blocking(move || file.remember(health)));
        ctx.spawn(work.map(|written, this, ctx| this.written(written, ctx)));
    }

    fn written(
        &mut self,
        written: Result<Result<BTreeMap<ProfileId, Health>, ProfileFileError>, JoinError>,
        ctx: &mut Context<Self>,
    ) {
        let sent = self.sent.take().unwrap_or_default();
        let why = match written {
            Ok(Ok(together)) => {
                let is_news = |id: &ProfileId, health: &Health| {
                    sent.get(id).map(as_kept).as_ref() != Some(health)
                };
                self.tell(together, is_news);
                return self.write(ctx);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "polpo failed at the profile file".to_owned(),
        };
        self.warn(&why);
        // With what is learned next, it is tried again.
        for (profile, health) in sent {
            self.pending.entry(profile).or_insert(health);
        }
        self.flushed();
    }

    /// Tells the scheduler what the file says and it has not heard.
    #[expect(clippy::disallowed_methods, reason = "one Recall for each look at the file")]
    fn tell(
        &mut self,
        said: BTreeMap<ProfileId, Health>,
        is_news: impl Fn(&ProfileId, &Health) -> bool,
    ) {
        let mut news = BTreeMap::new();
        for (profile, health) in said {
            let known = self.known.insert(profile.clone(), health.clone());
            if known.as_ref() != Some(&health) && is_news(&profile, &health) {
                news.insert(profile, health);
            }
        }
        if !news.is_empty() {
            self.recall.do_send(Recall(news));
        }
    }

    fn warn(&mut self, why: &str) {
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned_at = Some(Instant::now());
            tracing::warn!("the state of the profiles could not be kept: {why}");
        }
    }

    fn flushed(&mut self) {
        for flush in self.flushes.drain(..) {
            let _ = flush.send(()); // Who asked may be gone.
        }
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handler<Remember> for Keeper {
    type Result = ();

    fn handle(&mut self, Remember(health): Remember, ctx: &mut Context<Self>) {
        self.pending.extend(health);
        self.write(ctx);
    }
}

impl Handler<Found> for Keeper {
    type Result = ();

    fn handle(&mut self, Found(mut health): Found, _: &mut Context<Self>) {
        // The write of these merges what is found, and tells what comes of it.
        health.retain(|profile, _| {
            let is_sent = self.sent.as_ref().is_some_and(|sent| sent.contains_key(profile));
            !is_sent && !self.pending.contains_key(profile)
        });
        self.tell(health, |_, _| true);
    }
}

impl Handler<Flush> for Keeper {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) -> Self::Result {
        let (flush, flushed) = oneshot::channel();
        self.flushes.push(flush);
        self.write(ctx);
        Box::pin(async move { flushed.await.unwrap_or_default() })
    }
}
