//! Accounts as the scenario writes them: keys, organisations, workspaces and money.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU64;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::file::{Misplaced, known, read, within};
use super::limits::{MOST, at_most};
use super::{Account, Limits};
use crate::allotment::Face;
use crate::draw::Draws;
use crate::money::Money;
use crate::{poe, subscription};

/// An account, as written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AccountEntry {
    name: String,
    api_key: Option<String>,
    #[serde(default)]
    api_keys: Vec<String>,
    organization_id: Option<String>,
    workspace_id: Option<String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    workspace_limits: Limits,
    #[serde(default)]
    money: MoneyEntry,
    email: Option<String>,
    subscription: Option<SubscriptionEntry>,
    poe: Option<PoeEntry>,
}

/// A subscription's plan.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SubscriptionEntry {
    five_hour_tokens: u64,
    seven_day_tokens: u64,
}

impl Default for SubscriptionEntry {
    fn default() -> Self {
        let subscription::Plan { five_hour_tokens, seven_day_tokens } =
            subscription::Plan::default();
        Self { five_hour_tokens, seven_day_tokens }
    }
}

/// An account at Poe.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PoeEntry {
    requests_per_minute: NonZeroU64,
    /// `null` never runs out.
    points: Option<u64>,
    error_shape: poe::ErrorShape,
}

impl Default for PoeEntry {
    fn default() -> Self {
        let poe::Plan { requests_per_minute, points, error_shape } = poe::Plan::default();
        let requests_per_minute = NonZeroU64::new(requests_per_minute).unwrap_or(NonZeroU64::MAX);
        Self { requests_per_minute, points, error_shape }
    }
}

impl AccountEntry {
    /// One that needs nothing said about it.
    pub(super) fn simulated(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api_key: Some(format!("sk-ant-api03-simulated-{name}")),
            api_keys: Vec::new(),
            organization_id: None,
            workspace_id: None,
            limits: Limits::default(),
            workspace_limits: Limits::default(),
            money: MoneyEntry::default(),
            email: None,
            subscription: None,
            poe: None,
        }
    }

    fn face(&self, path: &str) -> Result<Face, Misplaced> {
        match (&self.subscription, &self.poe) {
            (None, None) => Ok(Face::Api),
            (Some(entry), None) => Ok(Face::Subscription(subscription::Plan {
                five_hour_tokens: entry.five_hour_tokens,
                seven_day_tokens: entry.seven_day_tokens,
            })),
            (None, Some(entry)) => {
                let requests_per_minute = entry.requests_per_minute.get();
                at_most(&format!("{path}.poe.requestsPerMinute"), requests_per_minute, MOST)?;
                Ok(Face::Poe(poe::Plan {
                    requests_per_minute,
                    points: entry.points,
                    error_shape: entry.error_shape,
                }))
            }
            (Some(_), Some(_)) => {
                let reason = "an account has a subscription or is Poe's, not both".to_owned();
                Err((path.to_owned(), reason))
            }
        }
    }

    /// Checks that nothing is said that an account of this kind does not have.
    fn check_face(&self, path: &str, face: &Face) -> Result<(), Misplaced> {
        let instead = match face {
            Face::Api => return Ok(()),
            Face::Subscription(_) => "a subscription has windows instead",
            Face::Poe(_) => "an account at Poe has a limit and points of its own",
        };
        let given = [
            ("limits", self.limits != Limits::default()),
            ("workspaceLimits", self.workspace_limits != Limits::default()),
            ("money", self.money != MoneyEntry::default()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err((format!("{path}.{key}"), instead.to_owned())),
            None => Ok(()),
        }
    }
}

/// What an account may spend, in dollars.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MoneyEntry {
    credit_usd: Option<f64>,
    spend_limit_usd: Option<f64>,
    workspace_spend_limit_usd: Option<f64>,
    monthly_cap_usd: Option<f64>,
    contract_cap_usd: Option<f64>,
    regain_access: Option<DateTime<Utc>>,
    billing_problem: bool,
}

/// Reads the money of some accounts by their names.
///
/// # Errors
/// The place in the JSON, and what is wrong there.
pub(crate) fn read_money(
    json: &[u8],
    accounts: &[Account],
) -> Result<Vec<(usize, Money)>, Misplaced> {
    let entries: BTreeMap<String, MoneyEntry> = read(json)?;
    let paid = accounts.iter().enumerate().filter(|(_, account)| account.face == Face::Api);
    let indices: HashMap<&str, usize> =
        paid.map(|(index, account)| (account.name.as_str(), index)).collect();
    let names: BTreeSet<&str> = indices.keys().copied().collect();
    let one = |(name, entry): (String, MoneyEntry)| {
        known(&name, &name, &names, "account that has money")?;
        let index = indices.get(name.as_str()).copied().unwrap_or_default();
        Ok((index, entry.check(&name)?))
    };
    entries.into_iter().map(one).collect()
}

/// More than any organisation spends in a simulation; its nanodollars fit an integer.
const MAX_USD: f64 = 1e9;

impl MoneyEntry {
    fn check(self, path: &str) -> Result<Money, Misplaced> {
        let nanodollars = |name: &str, usd: Option<f64>| -> Result<_, Misplaced> {
            usd.map(|usd| {
                within(&format!("{path}.{name}"), usd, 0.0, MAX_USD)?;
                #[expect(clippy::cast_possible_truncation, reason = "at most 1e18, as checked")]
                let nanodollars = (usd * 1e9).round() as i64;
                Ok(nanodollars)
            })
            .transpose()
        };
        Ok(Money {
            credit: nanodollars("creditUsd", self.credit_usd)?,
            spend_limit: nanodollars("spendLimitUsd", self.spend_limit_usd)?,
            workspace_spend_limit: nanodollars(
                "workspaceSpendLimitUsd",
                self.workspace_spend_limit_usd,
            )?,
            monthly_cap: nanodollars("monthlyCapUsd", self.monthly_cap_usd)?,
            contract_cap: nanodollars("contractCapUsd", self.contract_cap_usd)?,
            regain_access: self.regain_access,
            billing_problem: self.billing_problem,
        })
    }
}

/// Checks accounts one by one and against each other.
pub(super) fn check_accounts(entries: Vec<AccountEntry>) -> Result<Vec<Account>, Misplaced> {
    if entries.is_empty() {
        return Err(("accounts".to_owned(), "at least one account is needed".to_owned()));
    }
    let mut keys = HashSet::new();
    let mut accounts = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let path = format!("accounts[{index}]");
        let account = check_account(&path, entry)?;
        if account.api_keys.iter().any(|key| !keys.insert(key.clone())) {
            return Err((path, "an API key is given twice".to_owned()));
        }
        accounts.push(account);
    }
    check_shared(&accounts)?;
    Ok(accounts)
}

/// Checks that names differ, and that accounts agree on what they share.
fn check_shared(accounts: &[Account]) -> Result<(), Misplaced> {
    let mut names = HashSet::new();
    let (mut organizations, mut workspaces) = (HashMap::new(), HashMap::new());
    for (index, account) in accounts.iter().enumerate() {
        let fail = |key: &str, reason| Err((format!("accounts[{index}].{key}"), reason));
        if !names.insert(account.name.as_str()) {
            return fail("name", format!("`{}` is taken", account.name));
        }
        // The others have neither limits nor money of this kind.
        if account.face != Face::Api {
            continue;
        }
        let organization = account.organization_id.as_str();
        let other: &Account = organizations.entry(organization).or_insert(account);
        let reason = |what| format!("`{}` has other {what} for the same organization", other.name);
        if other.limits != account.limits {
            return fail("limits", reason("limits"));
        }
        if other.money.of_organization() != account.money.of_organization() {
            return fail("money", reason("money"));
        }
        let workspace = (organization, account.workspace_id.as_str());
        let other: &Account = workspaces.entry(workspace).or_insert(account);
        let reason = || format!("`{}` has another for the same workspace", other.name);
        if other.workspace_limits != account.workspace_limits {
            return fail("workspaceLimits", reason());
        }
        if other.money.workspace_spend_limit != account.money.workspace_spend_limit {
            return fail("money.workspaceSpendLimitUsd", reason());
        }
    }
    Ok(())
}

fn check_account(path: &str, entry: AccountEntry) -> Result<Account, Misplaced> {
    if entry.name.is_empty() {
        return Err((format!("{path}.name"), "a name is needed".to_owned()));
    }
    let face = entry.face(path)?;
    entry.check_face(path, &face)?;
    let api_keys: Vec<String> = entry.api_key.into_iter().chain(entry.api_keys).collect();
    if api_keys.is_empty() && !matches!(face, Face::Subscription(_)) {
        return Err((path.to_owned(), "an `apiKey` or `apiKeys` is needed".to_owned()));
    }
    if !api_keys.iter().all(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic())) {
        let reason = "an API key must be printable ASCII without spaces".to_owned();
        return Err((path.to_owned(), reason));
    }
    let draws = Draws::named(0, &entry.name);
    let organization_id = entry.organization_id.unwrap_or_else(|| draws.uuid("organization"));
    if !is_uuid(&organization_id) {
        return Err((format!("{path}.organizationId"), "a UUID is needed".to_owned()));
    }
    let workspace_id =
        entry.workspace_id.unwrap_or_else(|| format!("wrkspc_01{}", draws.id("workspace", 22)));
    let rest = workspace_id.strip_prefix("wrkspc_").unwrap_or_default();
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let reason = "`wrkspc_` with letters and digits is needed".to_owned();
        return Err((format!("{path}.workspaceId"), reason));
    }
    entry.limits.check(&format!("{path}.limits"))?;
    entry.workspace_limits.check(&format!("{path}.workspaceLimits"))?;
    let email = entry.email.unwrap_or_else(|| format!("{}@example.com", entry.name));
    Ok(Account {
        name: entry.name,
        email,
        face,
        api_keys,
        organization_id,
        workspace_id,
        limits: entry.limits,
        workspace_limits: entry.workspace_limits,
        money: entry.money.check(&format!("{path}.money"))?,
    })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
