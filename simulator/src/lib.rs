//! An Anthropic API that behaves like the real one, for tests and dry runs.
//!
//! One core answers calls; two faces carry them: [`InMemory`] is a
//! [`Transport`](polpo_upstream::transport::Transport), [`server`] listens on a socket.
//!
//! - `scenario`: what is simulated: accounts, limits, latency, faults, answers
//! - `request`, `estimate`: a request body, validated and measured
//! - `request`, `messages`, `fields`, `estimate`, `media`: a request body, validated and measured
//! - `block`, `breakpoint`, `prompt`, `cache`: what of a prompt may be cached, and what is
//! - `diagnosis`: why it was not
//! - `draw`, `answer`: what the model says, from a seed and never from the order of arrival
//! - `bucket`, `allowance`: rate limits and their headers
//! - `catalogue`, `price`, `books`: what was used, and what it costs
//! - `models`, `page`: the models API, and how lists are paged
//! - `batches`: message batches, answered when somebody looks
//! - `message`, `sse`, `timeline`: the answer on the wire, piece by piece in time
//! - `oauth`, `subscription`, `poe`: signing in, the windows of a plan, and the face of Poe
//! - `simulator`, `core`, `generation`: the core; `memory` and `server`: its faces

mod admission;
mod allotment;
mod allowance;
mod answer;
mod authentication;
mod batches;
mod batching;
mod block;
mod books;
mod breakpoint;
mod bucket;
mod cache;
mod catalogue;
mod clock;
mod control;
mod core;
mod diagnosis;
mod draw;
mod estimate;
mod faults;
mod generation;
mod growth;
mod instance;
mod limiter;
mod media;
mod memory;
mod message;
mod mishap;
mod models;
mod money;
mod oauth;
mod page;
mod poe;
mod price;
mod problem;
mod prompt;
mod prose;
mod request;
mod response;
mod scenario;
mod search;
mod server;
mod serving;
mod signature;
mod simulator;
mod sse;
mod subscription;
mod timeline;

pub use books::{AccountBook, Books, MessageBook, Tokens};
pub use memory::InMemory;
pub use scenario::{Account, Scenario, ScenarioError};
pub use server::server;
pub use simulator::Simulator;
