//! How people log in at a provider.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How people log in at a provider with OAuth (authorization code with PKCE). Nothing of it is built
/// in: every value comes from whoever runs the service and has allowed you to use it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OAuth {
    /// The id under which the service knows this client.
    #[schemars(length(min = 1))]
    pub(crate) client_id: String,
    /// Where the browser is sent: an https URL, or http on this machine.
    pub(crate) authorize_url: String,
    /// Where codes and refresh tokens are exchanged: an https URL, or http on this machine.
    pub(crate) token_url: String,
    /// Where the browser comes back to, as registered for the client: an https URL, or http on this
    /// machine.
    pub(crate) redirect_uri: String,
    /// What is asked for. Default: nothing, which leaves it to the service.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Headers of the requests to `tokenUrl`. Default: none.
    #[serde(default)]
    pub(crate) token_headers: BTreeMap<String, String>,
    /// Headers of the calls of the API that a token signs. Default: none.
    #[serde(default)]
    pub(crate) call_headers: BTreeMap<String, String>,
    /// Where it is asked whom a token belongs to: an https URL, or http on this machine. Default: it
    /// is not asked.
    #[serde(default)]
    pub(crate) profile_url: Option<String>,
}
