//! What `polpo init` writes.

/// A commented polpo.json to start from.
pub const STARTER: &str = include_str!("starter.jsonc");
