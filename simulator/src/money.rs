//! What an organisation may still spend, and how the API says that it may not.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use crate::problem::{Kind, Problem};

/// Limits on money, in nanodollars; `None` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Money {
    /// Prepaid credit, spent since the start.
    pub(crate) credit: Option<i64>,
    /// The limit that the organisation set for itself.
    pub(crate) spend_limit: Option<i64>,
    /// The limit that it set for this workspace.
    pub(crate) workspace_spend_limit: Option<i64>,
    /// What its usage tier may spend in a month.
    pub(crate) monthly_cap: Option<i64>,
    /// What its contract allows.
    pub(crate) contract_cap: Option<i64>,
    /// When the limits end, the credit left aside; else each month has its own.
    pub(crate) regain_access: Option<DateTime<Utc>>,
    /// A payment that failed.
    pub(crate) billing_problem: bool,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// By the organisation since the start, as its credit counts it.
    pub(crate) ever: i64,
    /// By the organisation, as limits count it.
    pub(crate) organization: i64,
    /// By the workspace, as limits count it.
    pub(crate) workspace: i64,
}

/// The month by the wall clock, and what each account had spent when it began.
#[derive(Debug)]
pub(crate) struct Month {
    end: DateTime<Utc>,
    before: Vec<i64>,
}

impl Month {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self { end: next_month(now), before: Vec::new() }
    }

    /// Begins the next month if this one is over; `spent` is what each account has spent so far.
    pub(crate) fn turn(&mut self, now: DateTime<Utc>, spent: impl Iterator<Item = i64>) {
        if now >= self.end {
            *self = Self { end: next_month(now), before: spent.collect() };
        }
    }

    /// What an account had spent before.
    pub(crate) fn before(&self, account: usize) -> i64 {
        self.before.get(account).copied().unwrap_or(0)
    }
}

impl Money {
    /// What all workspaces of the organisation have in common.
    pub(crate) fn of_organization(&self) -> Self {
        Self { workspace_spend_limit: None, ..self.clone() }
    }

    /// Whether anything here can ever refuse a request.
    pub(crate) fn is_limited(&self) -> bool {
        let limits = [
            self.credit,
            self.spend_limit,
            self.workspace_spend_limit,
            self.monthly_cap,
            self.contract_cap,
        ];
        self.billing_problem || limits.iter().any(Option::is_some)
    }

    /// Whether another request may begin. What is in flight is not counted: like the real API,
    /// the last requests overshoot.
    ///
    /// # Errors
    /// As the API's, where there is no money for it.
    pub(crate) fn check(&self, spent: Spent, now: DateTime<Utc>) -> Result<(), Problem> {
        let is_over = |limit: Option<i64>, spent: i64| limit.is_some_and(|limit| spent >= limit);
        let shortage = if self.billing_problem {
            Shortage::Billing
        } else if is_over(self.credit, spent.ever) {
            Shortage::Credit
        } else if self.regain_access.is_some_and(|end| end <= now) {
            return Ok(());
        } else if is_over(self.spend_limit, spent.organization) {
            Shortage::SpendLimit
        } else if is_over(self.workspace_spend_limit, spent.workspace) {
            Shortage::WorkspaceSpendLimit
        } else if is_over(self.monthly_cap, spent.organization) {
            Shortage::MonthlyCap
        } else if is_over(self.contract_cap, spent.organization) {
            Shortage::ContractCap
        } else {
            return Ok(());
        };
        Err(shortage.problem(self.regain_access.unwrap_or_else(|| next_month(now))))
    }
}

/// Why there is no money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    Billing,
    Credit,
    SpendLimit,
    WorkspaceSpendLimit,
    MonthlyCap,
    ContractCap,
}

impl Shortage {
    /// The API's answer, with the time when there is money again.
    pub(crate) fn problem(self, regain: DateTime<Utc>) -> Problem {
        let regain =
            format!("You will regain access on {}.", regain.format("%Y-%m-%d at %H:%M UTC"));
        match self {
            Self::Billing => Problem::new(
                Kind::Billing,
                "There is a problem with your payment method. Please update it in Plans & Billing.",
            ),
            Self::Credit => Problem::invalid(
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
                 Billing to upgrade or purchase credits.",
            ),
            Self::SpendLimit => Problem::invalid(format!(
                "You have reached your specified API usage limits. {regain}"
            )),
            Self::WorkspaceSpendLimit => Problem::invalid(format!(
                "You have reached your specified workspace API usage limits. {regain}"
            )),
            Self::MonthlyCap => Problem::new(
                Kind::RateLimit,
                format!("You have reached your API usage limits: the monthly limit of your tier. {regain}"),
            )
            .with_code("enforced_spend_limit_reached"),
            Self::ContractCap => Problem::new(
                Kind::RateLimit,
                format!("You have reached your API usage limits: the limit of your contract. {regain}"),
            )
            .with_code("contract_spend_limit_reached"),
        }
    }
}

/// The first of the next month, when the API's monthly limits end.
pub(crate) fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    let (year, month) = match now.month() {
        12 => (now.year() + 1, 1),
        month => (now.year(), month + 1),
    };
    let first = NaiveDate::from_ymd_opt(year, month, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    first.map_or(now, |at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_is_told_in_its_own_words_once_it_is_spent() {
        let spent = |sum| Spent { ever: sum, organization: sum, workspace: sum };
        let now = at("2026-12-22T05:00:00Z");
        let none = Money::default();
        for (money, status, expected) in [
            (Money { credit: Some(10), ..none.clone() }, 400, "Your credit balance is too low"),
            (
                Money { spend_limit: Some(10), ..none.clone() },
                400,
                "You have reached your specified API usage limits. You will regain access on \
                 2027-01-01 at 00:00 UTC.",
            ),
            (
                Money { workspace_spend_limit: Some(10), ..none.clone() },
                400,
                "You have reached your specified workspace API usage limits",
            ),
            (
                Money { monthly_cap: Some(10), ..none.clone() },
                429,
                "You have reached your API usage",
            ),
            (
                Money { contract_cap: Some(10), ..none.clone() },
                429,
                "You have reached your API usage",
            ),
        ] {
            assert_eq!(money.check(spent(9), now), Ok(()));
            let problem = money.check(spent(10), now).unwrap_err();
            assert_eq!(problem.status().as_u16(), status);
            assert!(problem.message.starts_with(expected), "{}", problem.message);
        }
        let unpaid = Money { billing_problem: true, ..none };
        assert_eq!(unpaid.check(spent(0), now).unwrap_err().status().as_u16(), 402);
    }

    #[test]
    fn limits_end_with_the_time_that_is_told_and_credit_does_not() {
        let spent = Spent { ever: 10, organization: 10, workspace: 10 };
        let none = Money { regain_access: Some(at("2026-12-24T06:30:00Z")), ..Money::default() };
        for money in [
            Money { spend_limit: Some(10), ..none.clone() },
            Money { workspace_spend_limit: Some(10), ..none.clone() },
            Money { monthly_cap: Some(10), ..none.clone() },
            Money { contract_cap: Some(10), ..none.clone() },
        ] {
            let told = money.check(spent, at("2026-12-24T06:29:59Z")).unwrap_err().message;
            assert!(told.ends_with("You will regain access on 2026-12-24 at 06:30 UTC."), "{told}");
            assert_eq!(money.check(spent, at("2026-12-24T06:30:00Z")), Ok(()));
        }
        for money in
            [Money { credit: Some(10), ..none.clone() }, Money { billing_problem: true, ..none }]
        {
            assert!(money.check(spent, at("2026-12-25T00:00:00Z")).is_err());
        }
    }

    #[test]
    fn what_was_spent_before_the_month_is_remembered_from_its_first_moment() {
        let mut month = Month::new(at("2026-11-22T05:00:00Z"));
        let mut turned = |now: &str, spent: [i64; 2]| {
            month.turn(at(now), spent.into_iter());
            [month.before(0), month.before(1)]
        };
        assert_eq!(turned("2026-11-30T23:59:59Z", [1, 2]), [0, 0]);
        assert_eq!(turned("2026-12-01T00:00:00Z", [3, 4]), [3, 4]);
        assert_eq!(turned("2026-12-31T23:59:59Z", [5, 6]), [3, 4]);
        assert_eq!(turned("2027-03-01T00:00:00Z", [7, 8]), [7, 8]);
    }

    #[test]
    fn a_month_ends_at_midnight_of_the_first() {
        assert_eq!(next_month(at("2026-11-22T05:00:00Z")), at("2026-12-01T00:00:00Z"));
        assert_eq!(next_month(at("2026-12-31T23:59:59Z")), at("2027-01-01T00:00:00Z"));
    }
}
