//! The rate limits of all organisations and workspaces, by limit class.

use std::collections::HashMap;
use std::time::Duration;

use crate::allowance::{Allowance, Refusal};
use crate::bucket::Bucket;
use crate::catalogue::Model;
use crate::clock::{Clock, SimTime};
use crate::scenario::{Limits, Scenario};

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The index of the account.
    pub(crate) account: usize,
    /// The index of the first account of the organisation, whose limits count.
    pub(crate) organization: usize,
    /// The index of the first account of the workspace, whose cache and limits count.
    pub(crate) workspace: usize,
}

/// Tokens that a request uses of its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) caller: Caller,
    pub(crate) model: &'static Model,
    pub(crate) at: SimTime,
    pub(crate) tokens: u64,
}

/// Allowances as they were first needed: full.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    organizations: HashMap<(usize, &'static str), Allowance>,
    /// Of the workspaces that have limits of their own.
    workspaces: HashMap<(usize, &'static str), Allowance>,
    /// Of token counts, by organisation.
    counts: HashMap<usize, Bucket>,
}

impl Limiter {
    /// Charges a request and its input, if its organisation's limits and its workspace's allow.
    ///
    /// # Errors
    /// The limit that binds longest; nothing is charged then.
    pub(crate) fn admit(&mut self, scenario: &Scenario, input: Use) -> Result<(), Refusal> {
        let Use { at, tokens, .. } = input;
        let (organization, mut workspace) = self.allowances(scenario, input);
        let of_organization = organization.check(at, tokens).err();
        let of_workspace = workspace.as_deref_mut().and_then(|own| own.check(at, tokens).err());
        let refusals = of_organization.into_iter().chain(of_workspace);
        if let Some(longest) = refusals.max_by_key(|refusal| refusal.wait) {
            return Err(longest);
        }
        organization.charge(tokens);
        if let Some(workspace) = workspace {
            workspace.charge(tokens);
        }
        Ok(())
    }

    /// Charges output as it is produced.
    pub(crate) fn produced(&mut self, scenario: &Scenario, output: Use) {
        let (organization, workspace) = self.allowances(scenario, output);
        organization.produced(output.at, output.tokens);
        if let Some(workspace) = workspace {
            workspace.produced(output.at, output.tokens);
        }
    }

    /// The rate limit headers: the organisation's.
    pub(crate) fn headers(
        &self,
        caller: Caller,
        model: &'static Model,
        clock: &Clock,
    ) -> Vec<(String, String)> {
        let allowance = self.organizations.get(&(caller.organization, &*model.limit_class));
        allowance.map_or_else(Vec::new, |allowance| allowance.headers(clock))
    }

    /// Charges a token count.
    ///
    /// # Errors
    /// Simulated time until there is one again.
    pub(crate) fn count(
        &mut self,
        scenario: &Scenario,
        caller: Caller,
        now: SimTime,
    ) -> Result<(), Duration> {
        let none = Limits::default();
        let own = scenario.accounts.get(caller.account).map_or(&none, |a| &a.limits);
        let Some(limit) = scenario.limits.count_tokens(own) else { return Ok(()) };
        let bucket =
            self.counts.entry(caller.organization).or_insert_with(|| Bucket::full(limit, now));
        bucket.refill(now);
        bucket.wait_for(1).map_or(Ok(()), Err)?;
        bucket.take(1);
        Ok(())
    }

    fn allowances(
        &mut self,
        scenario: &Scenario,
        of: Use,
    ) -> (&mut Allowance, Option<&mut Allowance>) {
        let Use { caller, model, at: now, .. } = of;
        let class = model.limit_class.as_str();
        let account = |index: usize| scenario.accounts.get(index);
        let organization =
            self.organizations.entry((caller.organization, class)).or_insert_with(|| {
                let none = Limits::default();
                let own = account(caller.account).map_or(&none, |account| &account.limits);
                Allowance::full(&scenario.limits.rates(own, class), now)
            });
        let own = account(caller.account).map(|account| &account.workspace_limits);
        let workspace = own.filter(|own| **own != Limits::default()).map(|own| {
            let full = || Allowance::full(&own.own_rates(class), now);
            self.workspaces.entry((caller.workspace, class)).or_insert_with(full)
        });
        (organization, workspace)
    }
}
