//! An Anthropic API that behaves like the real one, for tests and dry runs.
//!
//! One core answers calls; two faces carry them: [`InMemory`] is a
//! [`Transport`](polpo_upstream::transport::Transport), [`server`] listens on a socket.
//!
//! - `scenario`: what is simulated, as a file says it
//! - `request`: a request body, checked and read; `estimate`, `media`: how many tokens it is
//! - `block`, `breakpoint`, `prompt`, `cache`: what of a prompt may be cached, and what is;
//!   `diagnosis`: why it was not
//! - `authentication`, `oauth`, `signature`: who asks, signs in, and sends thoughts back
//! - `admission`: may it be served? `money`, `faults`, `limiter` with `allowance`, `bucket` and
//!   `growth`; `allotment` with `subscription` and `poe` for other credentials than keys
//! - `draw`: chance, from a seed; `answer`, `prose`, `instance`, `search`: what the model says
//! - `serving`, `generation`, `timeline`: an answer in time; `mishap`: what happens to it
//! - `message`, `sse`, `problem`, `response`: what is on the wire
//! - `batches`, `batching`, `models`, `page`: the other endpoints
//! - `catalogue`, `price`, `books`: what was used, and what it costs
//! - `core`, `simulator`, `control`: the state, and who is asked for what; `memory` and `server`:
//!   the two faces

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
