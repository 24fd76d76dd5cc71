//! What `/_sim/…` does: it reads the books and changes the scenario while it runs. No real API has
//! these paths.

use http::{Method, StatusCode};
use polpo_upstream::transport::Call;
use serde_json::json;

use crate::core::Core;
use crate::faults::Script;
use crate::problem::{Kind, Problem};
use crate::response::Response;
use crate::scenario::{Misplaced, read_faults, read_money};

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
            let paths = "GET /_sim/books, POST /_sim/reset, PUT /_sim/faults, PUT /_sim/money, \
                         POST /_sim/oauth/expire, POST /_sim/oauth/revoke, \
                         POST /_sim/oauth/throttle";
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
fn set_faults(core: &Core, body: &[u8]) -> Result<(), Misplaced> {
    let faults = read_faults(body, &core.scenario.accounts)?;
    core.state().script = Script::new(faults);
    Ok(())
}

/// Replaces the money of the accounts that are named: what is the organisation's for all of its
/// accounts, what is the workspace's for all of that.
fn set_money(core: &Core, body: &[u8]) -> Result<(), Misplaced> {
    let all = read_money(body, &core.scenario.accounts)?;
    let mut state = core.state();
    for (account, new) in all {
        let caller = core.caller(account);
        for &other in core.members(caller) {
            if let Some(money) = state.money.get_mut(other) {
                let own = money.workspace_spend_limit;
                *money = new.clone();
                if core.caller(other).workspace != caller.workspace {
                    money.workspace_spend_limit = own;
                }
            }
        }
    }
    Ok(())
}
