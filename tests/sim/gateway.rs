//! The gateway in virtual time: the whole app over a small world, without a socket.

mod books;
mod bytes;
mod elsewhere;
mod failover;
mod front;
mod given;
mod hangup;
mod headers;
mod patience;
mod pings;
mod refusals;
