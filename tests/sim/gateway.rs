//! The gateway in virtual time: the whole app over a small world, without a socket, but for
//! clients that stall.

mod books;
mod budgets;
mod bytes;
mod charges;
mod elsewhere;
mod failover;
mod front;
mod given;
mod hangup;
mod headers;
mod incidents;
mod log;
mod patience;
mod pings;
mod refusals;
mod routes;
mod socket;
#[cfg(target_os = "linux")]
mod stalled;
