//! What outlives the process: the run journal, the profile file and the key file.
//!
//! [`journal::Journal`] is the port; [`journal::SqliteJournal`] keeps it in a file and is the only
//! place that knows SQL, [`journal::MemoryJournal`] serves tests in virtual time.
//! [`profiles::ProfileFile`] is `auth-profiles.json`: credentials, and what is remembered of them.
//! [`keys::KeyFile`] is `gateway-keys.json`: whom the gateway serves.

pub mod disk;
mod iso;
pub mod journal;
pub mod keys;
pub mod profiles;
