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
