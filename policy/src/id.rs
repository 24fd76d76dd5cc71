//! Names of the things the pool talks about.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A credential profile: `provider:identifier`.
    ProfileId
}
name! {
    /// A provider of the API: `anthropic`, `poe`, or a configured name.
    ProviderId
}
name! {
    /// A configured agent.
    AgentId
}
name! {
    /// A model as upstream knows it: a catalogue id, or a name we have no figures for.
    ModelName
}
name! {
    /// The models that share one rate limit of an organisation, e.g. `opus-4`.
    LimitClass
}
name! {
    /// An organisation, as the `anthropic-organization-id` header names it.
    OrganizationId
}

name! {
    /// A workspace of an organisation, as the `anthropic-workspace-id` header names it.
    WorkspaceId
}
name! {
    /// A conversation, whose turns share a prompt cache.
    SessionId
}

name! {
    /// A client key of the gateway, by the name that its owner gave it.
    KeyName
}

/// Whether people may give this name to an agent or a client key: `^[a-zA-Z0-9_.-]{1,64}$`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

impl LimitClass {
    /// The class of all models that the catalogue does not know. What limits them is not known, and
    /// a client can name any number of them, so that a class for each would be kept for ever: they
    /// share one, and at worst rest together although they would not have to.
    #[must_use]
    pub fn other() -> Self {
        "other".into()
    }

    /// The class of requests that count tokens: they have a limit of their own, whatever the model.
    #[must_use]
    pub fn count_tokens() -> Self {
        "count_tokens".into()
    }

    /// The class of requests of the batch API, whose limit is not that of the models either.
    #[must_use]
    pub fn batches() -> Self {
        "batches".into()
    }
}

impl OrganizationId {
    /// The id as people read it: its first eight characters.
    #[must_use]
    pub fn short(&self) -> String {
        self.as_str().chars().take(8).collect()
    }
}

/// A request waiting for a profile. Issued in order, so the smaller one is the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The right to use one profile once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);
