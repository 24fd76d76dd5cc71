//! A transport that answers as it is told, and writes down what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::{Body, Call, Reply, Sending, Transport};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::reply::{ASKED, Canned, Step, says};

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Seconds since the script was made.
    pub(crate) at: f64,
    /// The part of the profile's id behind the colon.
    pub(crate) profile: String,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) bytes: Bytes,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

impl Sent {
    pub(crate) fn model(&self) -> &str {
        self.body["model"].as_str().unwrap()
    }
}

/// What each profile is answered, and what it has sent. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    start: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    replies: BTreeMap<String, VecDeque<Canned>>,
    otherwise: Canned,
    sent: Vec<Sent>,
    on_their_way: usize,
    open: usize,
}

impl Script {
    /// A script in which every call is answered well.
    pub(crate) fn new() -> Self {
        let state = State {
            replies: BTreeMap::new(),
            otherwise: says("fine"),
            sent: Vec::new(),
            on_their_way: 0,
            open: 0,
        };
        Self { start: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    /// Answers the next calls of a profile with these.
    pub(crate) fn on(&self, profile: &str, replies: impl IntoIterator<Item = Canned>) {
        self.edit(|state| state.replies.entry(profile.to_owned()).or_default().extend(replies));
    }

    /// Answers every call that nothing else was said about with this.
    pub(crate) fn otherwise(&self, reply: Canned) {
        self.edit(|state| state.otherwise = reply);
    }

    /// What was sent so far.
    pub(crate) fn calls(&self) -> Vec<Sent> {
        self.edit(|state| state.sent.clone())
    }

    /// Bodies that are neither read to their end nor dropped.
    pub(crate) fn open_bodies(&self) -> usize {
        self.edit(|state| state.open)
    }

    /// Calls that have neither been replied to nor dropped.
    pub(crate) fn on_their_way(&self) -> usize {
        self.edit(|state| state.on_their_way)
    }

    /// The way of a profile's calls into the script.
    pub(crate) fn wire(&self, profile: &str) -> Arc<dyn Transport> {
        Arc::new(Wire { profile: profile.to_owned(), script: self.clone() })
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.state.lock().unwrap())
    }

    fn note(&self, profile: &str, call: &Call) -> String {
        // What is asked about a batch has no body, and what makes one has many models.
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let at = self.start.elapsed().as_secs_f64();
        let Call { path, headers, body: bytes, .. } = call.clone();
        let sent = Sent { at, profile: profile.to_owned(), body, bytes, path, headers };
        self.edit(|state| state.sent.push(sent));
        model
    }

    fn take(&self, profile: &str) -> Canned {
        self.edit(|state| {
            let next = state.replies.get_mut(profile).and_then(VecDeque::pop_front);
            next.unwrap_or_else(|| state.otherwise.clone())
        })
    }
}

struct Wire {
    profile: String,
    script: Script,
}

impl Transport for Wire {
    fn send(&self, call: Call) -> Sending {
        let model = self.script.note(&self.profile, &call);
        let canned = self.script.take(&self.profile);
        let script = self.script.clone();
        Box::pin(async move {
            let on_its_way = Counted::new(&script, |state| &mut state.on_their_way);
            let delay = timeout(call.silence, sleep(canned.delay)).await;
            drop(on_its_way);
            delay.map_err(|_| TransportError::Idle)?;
            let status = StatusCode::from_u16(canned.head?).unwrap();
            let headers = canned.headers.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            });
            let headers = HeaderMap::from_iter(headers);
            Ok(Reply { status, headers, body: body(canned.steps, model, &script) })
        })
    }
}

/// Counts itself for as long as it lives.
struct Counted {
    script: Script,
    count: fn(&mut State) -> &mut usize,
}

impl Counted {
    fn new(script: &Script, count: fn(&mut State) -> &mut usize) -> Self {
        script.edit(|state| *count(state) += 1);
        Self { script: script.clone(), count }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.script.edit(|state| *(self.count)(state) -= 1);
    }
}

fn body(steps: Vec<Step>, model: String, script: &Script) -> Body {
    let state = (VecDeque::from(steps), Counted::new(script, |state| &mut state.open));
    Box::pin(stream::unfold(state, move |(mut steps, open)| {
        let model = model.clone();
        async move {
            loop {
                let item = match steps.pop_front()? {
                    Step::Text(text) => Ok(Bytes::from(text.replace(ASKED, &model))),
                    Step::Bytes(bytes) => Ok(bytes),
                    Step::Fail(error) => Err(error),
                    Step::Silence => std::future::pending().await,
                    Step::Panic => panic!("the script says so"),
                    Step::Sleep(time) => {
                        sleep(time).await;
                        continue;
                    }
                };
                return Some((item, (steps, open)));
            }
        }
    }))
}
