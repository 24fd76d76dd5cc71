//! What `/_sim/…` does: it reads the books and changes the scenario while it runs. No real API has
//! these paths.

use http::{Method, StatusCode};
use polpo_upstream::transport::Call;
use serde_json::json;

use crate::core::Core;
use crate::faults::Script;
use crate::problem::{Kind, Problem};
use crate::response::Response;
use crate::scenario::{Place, read_faults, read_money};

/// Answers a request below `/_sim/`.
pub(crate) fn answer(core: &Core, call: &Call, path: &str) -> Response {
    let done = match (&call.method, path) {
        (&Method::GET, "/_sim/books") => {
            let books = serde_json::to_vec(&core.books()).unwrap_or_default();
            return core.plain(StatusCode::OK, books, None);
        }
        (&Method::POST, "/_sim/reset") => {
            core.reset();
            Ok(())
        }
        (&Method::PUT, "/_sim/faults") => set_faults(core, &call.body),
        (&Method::PUT, "/_sim/money") => set_money(core, &call.body),
        _ => {
            let paths = "GET /_sim/books, POST /_sim/reset, PUT /_sim/faults, PUT /_sim/money";
            let message = format!("There is no {} {path}; there are {paths}.", call.method);
            return core.numbered(&Problem::new(Kind::NotFound, message), None);
        }
    };
    match done {
        Ok(()) => core.plain(StatusCode::NO_CONTENT, Vec::new(), None),
        Err((place, reason)) => {
            let problem = Problem::invalid(format!("{place}: {reason}"));
            core.numbered(&problem.with_details(json!({"path": place})), None)
        }
    }
}

/// Replaces the faults; their rules count from zero.
fn set_faults(core: &Core, body: &[u8]) -> Result<(), Place> {
    let faults = read_faults(body, &core.scenario.accounts)?;
    core.state().script = Script::new(faults);
    Ok(())
}

/// Replaces the money of the accounts that are named. What is the organisation's is replaced for
/// all of its workspaces.
fn set_money(core: &Core, body: &[u8]) -> Result<(), Place> {
    let all = read_money(body, &core.scenario.accounts)?;
    let mut state = core.state();
    for (account, new) in all {
        for other in core.workspaces(core.caller(account)) {
            if let Some(money) = state.money.get_mut(other) {
                let own = money.workspace_spend_limit;
                *money = new.clone();
                if other != account {
                    money.workspace_spend_limit = own;
                }
            }
        }
    }
    Ok(())
}
