//! The actors, and nothing but actors.
