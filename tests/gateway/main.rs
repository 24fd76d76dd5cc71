//! The gateway at its sockets: the program between raw TCP clients and a raw TCP upstream.

#[cfg(test)]
mod body;
#[cfg(test)]
mod circle;
#[cfg(test)]
mod client;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod garbage;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod upstream;
