//! What a client's request comes to, kept outside its futures so that none of them can lose it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use polpo_policy::id::{KeyName, ModelName, ProfileId};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use tokio::time::Instant;

/// What a request has come to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// How it ended, in a word from a closed set; `None` = the client went away.
    pub outcome: Option<&'static str>,
    /// The status that the client got, if it got any.
    pub status: Option<u16>,
    /// The status of the error that the client heard of later, as an event of a stream.
    pub error: Option<u16>,
    /// Upstream's id of the last call that it answered.
    pub request_id: Option<String>,
    /// The model that was asked last, or that answered.
    pub model: Option<ModelName>,
    /// The profile that was asked last.
    pub profile: Option<ProfileId>,
    /// Calls upstream.
    pub calls: u32,
    /// What they used.
    pub usage: Usage,
    /// What they cost, as far as their models have prices.
    pub cost: Nanodollars,
    /// Whether the model of any of them has none.
    pub is_unpriced: bool,
    /// How long it waited for profiles.
    pub waited: Duration,
    /// How long it took to the first content, from its arrival.
    pub first_content: Option<Duration>,
    /// How long it took.
    pub took: Duration,
}

/// The status of a stream.
const STREAMS: u16 = 200;

/// What hears of the end of a request.
type Close = Box<dyn FnOnce(Totals) + Send>;

/// What a request comes to. It is closed once: when its answer is complete, or else when everyone
/// who works on it has let it go.
pub struct Tally {
    /// The name of the client's key.
    pub key: KeyName,
    /// The request's id.
    pub request: String,
    arrived: Instant,
    state: Mutex<(Totals, Option<Close>)>,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Tally {
    /// The tally of a request that arrives now; `close` hears what it came to.
    pub fn new(key: KeyName, request: String, close: impl FnOnce(Totals) + Send + 'static) -> Self {
        let close: Option<Close> = Some(Box::new(close));
        Self {
            key,
            request,
            arrived: Instant::now(),
            state: Mutex::new((Totals::default(), close)),
        }
    }

    /// When the request arrived.
    #[must_use]
    pub const fn arrived(&self) -> Instant {
        self.arrived
    }

    /// What it has cost so far; `None` = a model that it asked has no price.
    #[must_use]
    pub fn cost(&self) -> Option<Nanodollars> {
        self.edit(|totals| (!totals.is_unpriced).then_some(totals.cost))
    }

    pub(super) fn edit<T>(&self, edit: impl FnOnce(&mut Totals) -> T) -> T {
        edit(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Says that the client gets a stream; what comes to that is told in events.
    pub fn streams(&self) {
        self.edit(|totals| totals.status = Some(STREAMS));
    }

    /// Says how the request ended and with which status, and has it settled.
    pub fn close(&self, outcome: &'static str, status: u16) {
        self.expect(outcome, status);
        self.settle();
    }

    /// Says how the request ends, and with which status, unless something better is found.
    pub(super) fn expect(&self, outcome: &'static str, status: u16) {
        self.edit(|totals| {
            totals.outcome = Some(outcome);
            if totals.status == Some(STREAMS) {
                totals.error = (status != STREAMS).then_some(status);
            } else {
                totals.status = Some(status);
            }
        });
    }

    fn settle(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (totals, close) = &mut *state;
        let Some(close) = close.take() else { return };
        totals.took = self.arrived.elapsed();
        let totals = totals.clone();
        drop(state);
        close(totals);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.settle();
    }
}
