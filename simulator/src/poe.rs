//! Poe's face of the API: Claude models under Poe's names, paid for in points, with errors and
//! headers of Poe's own.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admission::Refused;
use crate::books::Outcome;
use crate::bucket::Bucket;
use crate::catalogue::{self, Model};
use crate::clock::{Clock, SimTime};
use crate::problem::{Kind, Problem};

/// What an account at Poe has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) requests_per_minute: u64,
    /// Points at the start; `None` never runs out.
    pub(crate) points: Option<u64>,
    pub(crate) error_shape: ErrorShape,
}

impl Default for Plan {
    /// The limit that Poe documents, and the points of a monthly subscription.
    fn default() -> Self {
        Self { requests_per_minute: 500, points: Some(1_000_000), error_shape: ErrorShape::Poe }
    }
}

/// How errors look: Poe's documentation has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ErrorShape {
    /// `{"error": {"message", "type", "code"}}`, as Poe's page on errors has it.
    Poe,
    /// `{"type": "error", "error": {"type", "message"}}`, as its page on this API has it.
    Anthropic,
}

/// What a point costs: Poe sells a million for thirty dollars.
const NANODOLLARS_PER_POINT: u64 = 30_000;

/// What an account at Poe has left.
#[derive(Clone, Debug)]
pub(crate) struct Poe {
    requests: Bucket,
    points: Option<u64>,
}

impl Poe {
    pub(crate) fn new(plan: Plan, now: SimTime) -> Self {
        Self { requests: Bucket::full(plan.requests_per_minute, now), points: plan.points }
    }

    /// Charges a request on arrival. Poe documents 402 for an account without points; such a
    /// request uses nothing of the limit.
    pub(crate) fn admit(&mut self, now: SimTime, clock: &Clock) -> Result<(), Refused> {
        self.requests.refill(now);
        if self.points == Some(0) {
            let message = "You've used up your points! Visit https://poe.com/api/keys to get more.";
            return Err((Outcome::Unpaid, Problem::new(Kind::Billing, message)));
        }
        if let Some(wait) = self.requests.wait_for(1) {
            let message = format!("Rate limit exceeded: {} RPM", self.requests.limit());
            let problem = Problem::new(Kind::RateLimit, message);
            let seconds = clock.seconds(wait).to_string();
            return Err((Outcome::Refused, problem.with_header("retry-after", seconds)));
        }
        self.requests.take(1);
        Ok(())
    }

    /// Takes the points of a call that ended: its price, rounded up. What is missing is forgiven.
    pub(crate) fn spend(&mut self, nanodollars: i64) {
        let price = u64::try_from(nanodollars).unwrap_or(0).div_ceil(NANODOLLARS_PER_POINT);
        self.points = self.points.map(|points| points.saturating_sub(price));
    }

    /// The answer to `GET /usage/current_balance`.
    pub(crate) fn balance(&self) -> Value {
        json!({"current_point_balance": self.points})
    }

    /// The headers of every answer, as of the last request.
    pub(crate) fn headers(&self, clock: &Clock) -> [(&'static str, String); 3] {
        [
            ("x-ratelimit-limit-requests", self.requests.limit().to_string()),
            ("x-ratelimit-remaining-requests", self.requests.remaining().to_string()),
            ("x-ratelimit-reset-requests", clock.seconds(self.requests.until_full()).to_string()),
        ]
    }
}

impl ErrorShape {
    /// Status and body of an error in Poe's words.
    pub(crate) fn error(self, problem: &Problem) -> (StatusCode, Vec<u8>) {
        let (status, name, code) = translated(problem);
        let message = &problem.message;
        let body = match self {
            Self::Poe => json!({"error": {"message": message, "type": name, "code": code}}),
            Self::Anthropic => {
                let name = &problem.name;
                json!({"type": "error", "error": {"type": name, "message": message}})
            }
        };
        (status, serde_json::to_vec(&body).unwrap_or_default())
    }
}

/// Where Poe tells how many points are left.
pub(crate) const BALANCE: &str = "/usage/current_balance";

/// A request as Anthropic has it: Poe takes its own names of models, and no `system` turns.
pub(crate) fn translate(body: &[u8]) -> Result<Vec<u8>, Problem> {
    let Ok(mut body) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return Err(Problem::invalid("The request body is not valid JSON"));
    };
    check_roles(&body)?;
    if let Some(Value::String(name)) = body.get_mut("model") {
        name.clone_from(&model(name)?.id);
    }
    Ok(serde_json::to_vec(&body).unwrap_or_default())
}

/// Whether Poe has this endpoint: it documents neither token counts, batches nor models here.
pub(crate) fn serves(method: &Method, path: &str) -> bool {
    matches!((method, path), (&Method::POST, "/v1/messages") | (&Method::GET, BALANCE))
}

/// The model of a Poe name, or of an id or alias of Anthropic's.
fn model(name: &str) -> Result<&'static Model, Problem> {
    let lower = name.to_ascii_lowercase();
    let dashed = lower.replace('.', "-");
    // `claude-sonnet-3.7` is `claude-3-7-sonnet` at Anthropic.
    let turned = || {
        let (class, version) = dashed.strip_prefix("claude-")?.split_once('-')?;
        catalogue::find(&format!("claude-{version}-{class}"))
    };
    let found = catalogue::find(&dashed).or_else(turned);
    found.ok_or_else(|| Problem::invalid(format!("Model '{name}' does not exist")))
}

/// Only people and models talk: Poe has no `system` turns.
fn check_roles(body: &Map<String, Value>) -> Result<(), Problem> {
    let messages = body.get("messages").and_then(Value::as_array);
    let roles = messages.into_iter().flatten().map(|message| message.get("role"));
    for (index, role) in roles.enumerate() {
        if role.and_then(Value::as_str) == Some("system") {
            let complaint = "role: Input should be 'user' or 'assistant'";
            return Err(Problem::invalid(format!("messages.{index}.{complaint}")));
        }
    }
    Ok(())
}

/// Status, type and code: Poe has only the statuses named here.
fn translated(problem: &Problem) -> (StatusCode, &'static str, &'static str) {
    const INVALID: &str = "invalid_request_error";
    let message = &problem.message;
    match problem.status().as_u16() {
        401 => (StatusCode::UNAUTHORIZED, INVALID, "invalid_api_key"),
        402 => (StatusCode::PAYMENT_REQUIRED, "billing_error", "insufficient_credits"),
        403 => (StatusCode::FORBIDDEN, "permission_error", "permission_denied"),
        404 => (StatusCode::NOT_FOUND, INVALID, "not_found"),
        429 => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
        500 => (StatusCode::INTERNAL_SERVER_ERROR, "api_error", "internal_error"),
        501.. => (StatusCode::SERVICE_UNAVAILABLE, "api_error", "service_unavailable"),
        _ if message.starts_with("Model '") => {
            (StatusCode::BAD_REQUEST, INVALID, "model_not_found")
        }
        _ if message.ends_with("Field required") => {
            (StatusCode::BAD_REQUEST, INVALID, "missing_parameter")
        }
        _ => (StatusCode::BAD_REQUEST, INVALID, "invalid_parameter"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn poe(plan: Plan) -> (Poe, Clock) {
        (Poe::new(plan, SimTime(0)), Clock::new(1000))
    }

    fn header(poe: &Poe, clock: &Clock, what: &str) -> u64 {
        let name = format!("x-ratelimit-{what}-requests");
        let headers = poe.headers(clock);
        headers.iter().find(|(other, _)| *other == name).unwrap().1.parse().unwrap()
    }

    #[test]
    fn five_hundred_requests_a_minute_are_told_and_the_next_is_refused() {
        let (mut poe, clock) = poe(Plan::default());
        poe.admit(SimTime(0), &clock).unwrap();
        let told =
            |poe: &Poe| ["limit", "remaining", "reset"].map(|what| header(poe, &clock, what));
        assert_eq!(told(&poe), [500, 499, 1]);
        for _ in 1..500 {
            poe.admit(SimTime(0), &clock).unwrap();
        }
        assert_eq!(told(&poe), [500, 0, 60]);
        let (outcome, refused) = poe.admit(SimTime(0), &clock).unwrap_err();
        assert_eq!((outcome, refused.status().as_u16()), (Outcome::Refused, 429));
        let after = refused.headers.iter().find(|(name, _)| name == "retry-after").unwrap();
        assert_eq!(after.1, "1", "0.12 s, rounded up");
        assert!(poe.admit(SimTime(SECOND / 1000 * 119), &clock).is_err());
        assert!(poe.admit(SimTime(SECOND / 1000 * 120), &clock).is_ok());
    }

    #[test]
    fn calls_cost_points_and_without_any_left_the_account_must_pay() {
        let (mut poe, clock) = poe(Plan { points: Some(3), ..Plan::default() });
        poe.spend(30_000);
        assert_eq!(poe.balance(), json!({"current_point_balance": 2}));
        poe.admit(SimTime(0), &clock).unwrap();
        // One nanodollar more than a point takes two, and no debt is left.
        poe.spend(30_001);
        poe.spend(90_000);
        assert_eq!(poe.balance(), json!({"current_point_balance": 0}));
        let (outcome, refused) = poe.admit(SimTime(0), &clock).unwrap_err();
        assert_eq!(outcome, Outcome::Unpaid);
        assert_eq!(header(&poe, &clock, "remaining"), 499, "nor does it use the limit");
        assert!(refused.message.starts_with("You've used up your points!"));
        let (status, body) = ErrorShape::Poe.error(&refused);
        assert_eq!(status.as_u16(), 402);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "insufficient_credits");
    }

    #[test]
    fn points_without_an_end_are_never_used_up() {
        let (mut poe, clock) = poe(Plan { points: None, ..Plan::default() });
        poe.spend(i64::MAX);
        poe.admit(SimTime(0), &clock).unwrap();
    }

    #[test]
    fn models_go_by_poe_s_names_and_by_anthropic_s() {
        for (name, id) in [
            ("claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
            ("Claude-Sonnet-4.5", "claude-sonnet-4-5-20250929"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
            ("claude-opus-4.6", "claude-opus-4-6"),
            ("claude-sonnet-3.7", "claude-3-7-sonnet-20250219"),
            ("claude-sonnet-4", "claude-sonnet-4-20250514"),
        ] {
            assert_eq!(model(name).unwrap().id, id);
        }
        for name in ["gpt-5", "claude-", "claude-sonnet-99", "my-bot", ""] {
            let problem = model(name).unwrap_err();
            assert_eq!(problem.message, format!("Model '{name}' does not exist"));
            assert_eq!(translated(&problem).2, "model_not_found");
        }
    }

    #[test]
    fn errors_have_the_statuses_and_codes_of_poe() {
        for (kind, message, status, name, code) in [
            (Kind::InvalidRequest, "x: wrong", 400, "invalid_request_error", "invalid_parameter"),
            (
                Kind::InvalidRequest,
                "messages: Field required",
                400,
                "invalid_request_error",
                "missing_parameter",
            ),
            (Kind::Authentication, "no", 401, "invalid_request_error", "invalid_api_key"),
            (Kind::Permission, "no", 403, "permission_error", "permission_denied"),
            (Kind::NotFound, "no", 404, "invalid_request_error", "not_found"),
            (Kind::TooLarge, "no", 400, "invalid_request_error", "invalid_parameter"),
            (Kind::RateLimit, "no", 429, "rate_limit_error", "rate_limit_exceeded"),
            (Kind::Internal, "no", 500, "api_error", "internal_error"),
            (Kind::Timeout, "no", 503, "api_error", "service_unavailable"),
            (Kind::Overloaded, "no", 503, "api_error", "service_unavailable"),
        ] {
            let (told, body) = ErrorShape::Poe.error(&Problem::new(kind, message));
            let body: Value = serde_json::from_slice(&body).unwrap();
            let expected = json!({"error": {"message": message, "type": name, "code": code}});
            assert_eq!((told.as_u16(), body), (status, expected), "{kind:?}");
        }
    }

    #[test]
    fn errors_can_have_anthropic_s_shape_without_a_request_id() {
        let (status, body) =
            ErrorShape::Anthropic.error(&Problem::new(Kind::Authentication, "Invalid API key"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let error = json!({"type": "authentication_error", "message": "Invalid API key"});
        assert_eq!((status.as_u16(), body), (401, json!({"type": "error", "error": error})));
    }

    #[test]
    fn only_messages_and_the_balance_are_served() {
        assert!(serves(&Method::POST, "/v1/messages"));
        assert!(serves(&Method::GET, BALANCE));
        for path in ["/v1/messages/count_tokens", "/v1/messages/batches", "/v1/models"] {
            assert!(!serves(&Method::POST, path) && !serves(&Method::GET, path));
        }
    }

    #[test]
    fn a_system_turn_is_refused_where_it_stands() {
        let body = |role: &str| {
            let messages = json!([{"role": "user"}, {"role": role}]);
            Map::from_iter([("messages".to_owned(), messages)])
        };
        assert!(check_roles(&body("assistant")).is_ok());
        let problem = check_roles(&body("system")).unwrap_err();
        assert!(problem.message.starts_with("messages.1.role: "));
    }
}
