//! The windows of an organisation, which all of its profiles share.
//!
//! A window is the organisation's from when one of its profiles learns it. It ends with its date,
//! or when that profile is cleared and no other one has learned a window of its own.

use polpo_policy::health::{ClassHealth, Health};
use polpo_policy::id::{LimitClass, OrganizationId};
use polpo_policy::limits::Timestamp;
use serde_json::{Map, Value};

use super::stats::{put_back, set_time, take, time};

/// The end of the window.
const UNTIL: &str = "cooldownUntil";
/// The end that the window had which was ended by hand, so that those who still remember it do
/// not bring it back.
const ENDED: &str = "endedUntil";

/// `limits`: a window for each organisation and class.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Limits(pub(super) Map<String, Value>);

impl Limits {
    /// Adds the windows of its organisation to the health of a profile.
    pub(super) fn add_to(&self, health: &mut Health) {
        let organization = health.organization.as_ref();
        let windows = organization.and_then(|id| self.0.get(id.as_str())?.as_object());
        for (class, fields) in windows.into_iter().flatten() {
            let until = fields.as_object().and_then(|fields| time(fields, UNTIL));
            if until.is_some() {
                let health = health.classes.entry(class.as_str().into()).or_default();
                health.cooldown_until = health.cooldown_until.max(until);
            }
        }
    }

    /// Leaves out of a health what its profile only knows from its organisation.
    pub(super) fn take_from(&self, health: &mut Health, own: &Health) {
        let Some(organization) = health.organization.clone() else { return };
        health.classes.retain(|class, known| {
            let said = self.get(&organization, class, UNTIL);
            let said = said.max(self.get(&organization, class, ENDED));
            let bare = ClassHealth { cooldown_until: known.cooldown_until, ..Default::default() };
            own.classes.contains_key(class) || *known != bare || known.cooldown_until > said
        });
    }

    /// Raises the window of a class to what a profile learned.
    pub(super) fn raise(&mut self, id: &OrganizationId, class: &LimitClass, until: Timestamp) {
        if self.get(id, class, UNTIL) < Some(until) {
            self.set(id, class, UNTIL, Some(until));
        }
    }

    /// Ends the window of a class by hand, but for what `others` of its profiles learned.
    pub(super) fn end(
        &mut self,
        id: &OrganizationId,
        class: &LimitClass,
        others: Option<Timestamp>,
    ) {
        let ended = self.get(id, class, UNTIL).max(self.get(id, class, ENDED));
        self.set(id, class, ENDED, ended);
        self.set(id, class, UNTIL, others);
    }

    fn get(&self, id: &OrganizationId, class: &LimitClass, key: &str) -> Option<Timestamp> {
        let windows = self.0.get(id.as_str())?.as_object()?;
        time(windows.get(class.as_str())?.as_object()?, key)
    }

    fn set(&mut self, id: &OrganizationId, class: &LimitClass, key: &str, at: Option<Timestamp>) {
        let mut windows = take(&mut self.0, id.as_str());
        let mut fields = take(&mut windows, class.as_str());
        set_time(&mut fields, key, at);
        put_back(&mut windows, class.as_str(), fields);
        put_back(&mut self.0, id.as_str(), windows);
    }
}
