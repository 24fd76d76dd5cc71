//! What outlives the process: the run journal and the profile file.
//!
//! [`journal::Journal`] is the port; [`journal::SqliteJournal`] keeps it in a file and is the only
//! place that knows SQL, [`journal::MemoryJournal`] serves tests in virtual time.
//! [`profiles::ProfileFile`] is `auth-profiles.json`: credentials, and what is remembered of them.

pub mod journal;
pub mod profiles;
