//! `GET /v1/models` and `GET /v1/models/{id}`: the catalogue, as far as a client may use it.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use polpo_policy::model::{Catalogue, Lifecycle, ModelInfo};
use serde::Serialize;
use serde_json::value::RawValue;

use super::door::{Visit, receive};
use super::fault::Fault;
use super::page::{Parameters, Wanted, parameters};
use super::{Site, routes};

/// `GET /v1/models`: a page, newest first.
pub(super) async fn list(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        let parameters = parameters(request.query_string())?;
        let (wanted, lifecycles) = (Wanted::read(&parameters)?, lifecycles(&parameters)?);
        let is_listed = |model: &&ModelInfo| lifecycles.contains(&lifecycle(model));
        let listed = Catalogue::get().models().iter().filter(is_listed);
        let mut models: Vec<_> = listed.filter(|model| may_use(&visit, model)).collect();
        models.sort_by(|a, b| b.released_at.cmp(&a.released_at).then_with(|| a.id.cmp(&b.id)));
        let page = wanted.of(models, |model| &model.id)?;
        Ok(HttpResponse::Ok().json(page.map(Info::of)))
    })
    .await
}

/// `GET /v1/models/{id}`; an alias does as well.
pub(super) async fn retrieve(
    request: HttpRequest,
    id: Path<String>,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        let known = Catalogue::get().find(&id).filter(|model| may_use(&visit, model));
        let model = known.ok_or_else(|| Fault::no_model(&id))?;
        Ok(HttpResponse::Ok().json(Info::of(model)))
    })
    .await
}

fn may_use(visit: &Visit, model: &ModelInfo) -> bool {
    routes::specs(&model.id, &visit.site.providers, &visit.allowlists()).is_ok()
}

/// `lifecycle[]`: unless it is given, whatever is served.
fn lifecycles(parameters: &Parameters) -> Result<Vec<&str>, Fault> {
    let given = parameters.iter().filter(|(name, _)| name == "lifecycle[]");
    let given: Vec<_> = given.map(|(_, word)| word.as_str()).collect();
    let is_known = |word: &str| ["active", "deprecated", "retired"].contains(&word);
    if let Some(index) = given.iter().position(|word| !is_known(word)) {
        let complaint = "Input should be 'active', 'deprecated' or 'retired'";
        return Err(Fault::invalid(&format!("lifecycle.{index}"), complaint));
    }
    match given.len() {
        0 => Ok(vec!["active", "deprecated"]),
        1..=3 => Ok(given),
        count => {
            let complaint =
                format!("List should have at most 3 items after validation, not {count}");
            Err(Fault::invalid("lifecycle", &complaint))
        }
    }
}

/// In the API's words, which has none for models that are served and no longer listed.
const fn lifecycle(model: &ModelInfo) -> &'static str {
    match model.lifecycle {
        Lifecycle::Active => "active",
        Lifecycle::Deprecated | Lifecycle::Legacy => "deprecated",
        Lifecycle::Retired => "retired",
    }
}

/// A model as the API writes it.
#[derive(Debug, Serialize)]
struct Info<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
    line: &'static str,
    deprecated_at: Option<String>,
    retires_at: Option<String>,
    max_input_tokens: u64,
    max_tokens: u64,
    capabilities: &'a RawValue,
}

impl<'a> Info<'a> {
    fn of(model: &'a ModelInfo) -> Self {
        let midnight = |day: &String| format!("{day}T00:00:00Z");
        Self {
            r#type: "model",
            id: &model.id,
            display_name: &model.display_name,
            created_at: midnight(&model.released_at),
            lifecycle: lifecycle(model),
            line: model.class.label(),
            deprecated_at: model.deprecated_at.as_ref().map(midnight),
            retires_at: model.retires_at.as_ref().map(midnight),
            max_input_tokens: model.context_tokens,
            max_tokens: model.max_output_tokens,
            capabilities: &model.capabilities,
        }
    }
}
