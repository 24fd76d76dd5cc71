//! The simulated API as a client sees it, over both faces.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod books;
#[cfg(test)]
mod caching;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod client;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod models;
#[cfg(test)]
mod money;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod poe;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod subscription;
#[cfg(test)]
mod time;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod wire;
