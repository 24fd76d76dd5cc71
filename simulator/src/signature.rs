//! Signatures of thoughts: only the organisation that got a thought can send it back, and only as
//! it was.

use crate::draw::{Draws, sha256};
use crate::problem::Problem;
use crate::request::Signed;

/// What every signature begins with.
const PREFIX: &str = "EqQB";

/// Letters of each of the three parts: who is told apart by chance fails once in 58^12.
const PART: usize = 12;

/// Signs a thought as the client sees it. The signature is a number, who may use it, and for what.
pub(crate) fn sign(seed: u64, organization: &str, shown: &str, draws: Draws) -> String {
    let nonce = draws.id("signature", PART as u64);
    let (owner, content) = seals(seed, organization, &nonce, shown);
    format!("{PREFIX}{nonce}{owner}{content}")
}

/// Checks the thoughts that a request of `organization` sends back.
///
/// # Errors
/// As the API's: a signature that is not one or another organisation's, and a thought of the
/// latest assistant message that was changed.
pub(crate) fn check(seed: u64, organization: &str, signed: &[Signed]) -> Result<(), Problem> {
    for thought in signed {
        let path = &thought.path;
        let parts = thought.signature.strip_prefix(PREFIX).and_then(|rest| {
            let (nonce, rest) = rest.split_at_checked(PART)?;
            let (owner, content) = rest.split_at_checked(PART)?;
            Some((nonce, owner, content))
        });
        let Some((nonce, owner, content)) = parts else { return invalid(path) };
        let expected = seals(seed, organization, nonce, &thought.thinking);
        if owner != expected.0 {
            return invalid(path);
        }
        if content != expected.1 && thought.is_latest {
            return Err(Problem::invalid(format!(
                "{path}: `thinking` or `redacted_thinking` blocks in the latest assistant message \
                 cannot be modified. These blocks must remain as they were in the original \
                 response."
            )));
        }
    }
    Ok(())
}

fn invalid(path: &str) -> Result<(), Problem> {
    Err(Problem::invalid(format!("{path}: Invalid `signature` in `thinking` block")))
}

fn seals(seed: u64, organization: &str, nonce: &str, shown: &str) -> (String, String) {
    let seal = |text: &str| {
        let digest = sha256(format!("{organization}/{nonce}/{text}").as_bytes());
        Draws::new(seed, &digest, "signature", 0).id("seal", PART as u64)
    };
    (seal(""), seal(&format!("shown {shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_is_taken_back_as_it_was_and_only_from_whom_it_was_given_to() {
        let signature = sign(1, "org-a", "Hm.", Draws::named(1, "x"));
        let check = |organization: &str, is_latest: bool, thinking: &str, signature: &str| {
            let (path, thinking) = ("messages.1.content.0".to_owned(), thinking.to_owned());
            let thought = Signed { path, thinking, signature: signature.to_owned(), is_latest };
            check(1, organization, &[thought]).map_err(|problem| problem.message)
        };
        assert_eq!(check("org-a", true, "Hm.", &signature), Ok(()));
        let foreign = check("org-b", false, "Hm.", &signature).unwrap_err();
        assert_eq!(foreign, "messages.1.content.0: Invalid `signature` in `thinking` block");
        assert!(check("org-a", false, "Hm.", "EqQB").is_err());
        assert!(check("org-a", false, "Hm.", "EqQBéééééééééééééééééé").is_err());
        let edited = check("org-a", true, "Ha.", &signature).unwrap_err();
        assert!(edited.contains("cannot be modified"), "{edited}");
        assert_eq!(check("org-a", false, "Ha.", &signature), Ok(()), "not latest");
    }
}
