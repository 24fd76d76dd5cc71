//! `POST /v1/messages/batches`.

use std::collections::BTreeMap;

use actix_web::rt;
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use http::{HeaderMap, Method};
use polpo_agents::gateway::{Incoming, Passed, Route};
use polpo_policy::budget::{Estimate, reservation};
use polpo_policy::id::{LimitClass, ProfileId, ProviderId};
use polpo_policy::model::ModelSpec;
use polpo_policy::price::{Cost, Nanodollars};
use polpo_policy::provider::supports_batches;
use polpo_policy::usage::Terms;
use polpo_store::journal::BatchRecord;
use polpo_upstream::wire::batch::Told;
use polpo_upstream::wire::request::batch::Batch;

use super::super::answer::{headers_of, path_of};
use super::super::body::{self, Held};
use super::super::door::{Visit, receive};
use super::super::fault::Fault;
use super::super::messages::{estimate, refused};
use super::super::{Site, access, patience, routes};
use super::{MODEL, Reply, ask, lost, no_tally, object, offered, origin};

/// The API's own limit for a batch.
const MOST_BYTES: usize = 256 * 1024 * 1024;

const PATH: &str = "/v1/messages/batches";

pub(in super::super) async fn create(
    request: HttpRequest,
    payload: Payload,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| serve(visit, &request, payload).await).await
}

async fn serve(
    visit: Visit,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Fault> {
    let site = &visit.site;
    let Held { bytes, memory } = body::of(request, payload, MOST_BYTES, &site.memory).await?;
    // A quarter of a gigabyte takes a second, in which others are served.
    let reading = web::block(move || Batch::read(bytes)).await;
    let asked = reading.map_err(|_| Fault::ending())??;
    offered(site).await?;
    let plan = Plan::of(&visit, &asked)?;
    let copied = if plan.renames() { asked.body().len() } else { 0 };
    let mut held = memory;
    held.merge(body::room(&site.memory, copied)?);
    let (headers, model) = (headers_of(request), plan.model());
    let reserved = visit.hold(plan.cost)?;
    let tally = access::tally(&visit, None, &access::Said { path: PATH, model, is_stream: false });
    let incoming = Incoming {
        method: Method::POST,
        path: path_of(request),
        deadline: patience::deadline(site, &headers),
        headers: headers.clone(),
        routes: plan.routes(&asked),
        is_stream: false,
        estimate: None,
        is_once: true,
        session: None,
        tally,
        held,
    };
    let requests = u32::try_from(asked.requests().len()).unwrap_or(u32::MAX);
    let making = Making { origin: origin(request), headers, requests, reserved, visit };
    // Whoever hangs up may have made a batch all the same. The drain waits for the visit.
    let made = rt::spawn(making.make(incoming)).await;
    made.unwrap_or_else(|_| Err(Fault::lasting(500, "api_error", "the gateway failed")))
}

/// Who may serve a batch, and what it may cost.
struct Plan<'a> {
    providers: Vec<ProviderId>,
    /// What each model is that is named in it.
    models: BTreeMap<&'a str, ModelSpec>,
    /// `None` if one of them has no known price.
    cost: Option<Nanodollars>,
}

impl<'a> Plan<'a> {
    fn of(visit: &Visit, asked: &'a Batch) -> Result<Self, Fault> {
        let (site, allowed) = (&visit.site, visit.allowlists());
        let all = site.providers.iter().filter(|provider| supports_batches(provider));
        let all: Vec<_> = all.cloned().collect();
        let (providers, models) = (all.clone(), BTreeMap::new());
        let mut plan = Self { providers, models, cost: Some(Nanodollars::default()) };
        for request in asked.requests() {
            let name = request.model.as_str();
            if !plan.models.contains_key(name) {
                let specs = routes::specs(name, &all, &allowed)?;
                plan.providers.retain(|it| specs.iter().any(|spec| spec.provider == *it));
                plan.models.extend(specs.into_iter().next().map(|spec| (name, spec)));
            }
            let model = &plan.models[name].model;
            let estimate = estimate(request, model);
            let terms = Terms { batch: true, ..estimate.terms };
            let bound = reservation(&site.prices, model.as_str(), &Estimate { terms, ..estimate });
            plan.cost = plan.cost.zip(bound).map(|(sum, bound)| sum + Cost::total(&bound));
        }
        if plan.providers.is_empty() {
            let message = "The models of a batch must be of one provider.";
            return Err(Fault::invalid("requests", message));
        }
        Ok(plan)
    }

    /// The way to every provider that may serve it.
    fn routes(&self, asked: &Batch) -> Vec<Route> {
        let body = asked.body_for(|name| self.name(name));
        let route = |provider: &ProviderId| Route {
            provider: provider.clone(),
            class: LimitClass::batches(),
            pin: None,
            model: self.model().into(),
            body: body.clone(),
        };
        self.providers.iter().map(route).collect()
    }

    /// Whether upstream knows any of the models by another name.
    fn renames(&self) -> bool {
        self.models.keys().any(|name| self.name(name) != *name)
    }

    fn name<'b>(&'b self, name: &'b str) -> &'b str {
        self.models.get(name).map_or(name, |spec| routes::name_for(name, spec))
    }

    fn model(&self) -> &str {
        self.models.values().next().map_or(MODEL, |spec| spec.model.as_str())
    }
}

/// A batch that is being made.
struct Making {
    visit: Visit,
    headers: HeaderMap,
    /// Where the client reaches us.
    origin: String,
    requests: u32,
    /// What is held for it.
    reserved: Nanodollars,
}

impl Making {
    async fn make(self, incoming: Incoming) -> Result<HttpResponse, Fault> {
        let tally = incoming.tally.clone();
        let refused = match self.visit.site.gateway.pass(incoming).await {
            Passed::Answered(answer) => {
                let (status, profile) = (answer.status, answer.served.clone());
                match Reply::read(answer).await {
                    Ok(reply) => match reply.told() {
                        Some(told) => return self.keep(profile, told, reply).await,
                        None if status.is_success() => return Err(self.lost(profile)),
                        None => Ok(reply.answer()),
                    },
                    Err(_) if status.is_success() => return Err(self.lost(profile)),
                    Err(fault) => Err(fault),
                }
            }
            Passed::Lost(_, profile) => {
                tally.close("lost", 500);
                return Err(self.lost(profile));
            }
            Passed::Failed(problem) => Err(Fault::upstream(problem)),
            Passed::Refused(refusal, _) => {
                let asked = (&MODEL.into(), &LimitClass::batches());
                Err(refused(&self.visit, refusal, &tally, asked).await)
            }
        };
        self.release(Nanodollars::default());
        refused
    }

    /// Writes down a batch that was made. One that cannot be found again is canceled.
    async fn keep(
        self,
        profile: ProfileId,
        told: Told,
        reply: Reply,
    ) -> Result<HttpResponse, Fault> {
        let batch = self.record(&told.id, profile, told.object().to_owned());
        let Err(error) = self.visit.site.journal.keep_batch(batch.clone()).await else {
            return Ok(reply.with(object(&told, &self.origin)));
        };
        let BatchRecord { id, profile, .. } = &batch;
        tracing::error!(%error, batch = id, %profile, "a batch that cannot be written down is canceled");
        let (visit, headers) = (&self.visit, self.headers.clone());
        // What it costs until then stays held, as nobody will know.
        let _ = ask(visit, &batch, (Method::POST, "/cancel"), headers, no_tally(visit)).await;
        Err(Fault::no_ledger())
    }

    /// Charges a batch of which nobody knows whether it was made.
    fn lost(self, profile: ProfileId) -> Fault {
        let batch = self.record(&self.visit.request_id, profile, String::new());
        self.visit.site.ledger.book(lost(&self.visit, &batch));
        self.release(self.reserved);
        let message = "Nobody knows whether this batch was made: the connection broke before it \
                       was told. It is charged as if it was.";
        Fault::lasting(500, "api_error", message)
    }

    fn release(&self, cost: Nanodollars) {
        let site = &self.visit.site;
        site.keys.release(&self.visit.key.name, site.clock.now(), self.reserved, cost);
    }

    fn record(&self, id: &str, profile: ProfileId, object: String) -> BatchRecord {
        let Self { visit, requests, reserved, .. } = self;
        BatchRecord {
            id: id.to_owned(),
            key: visit.key.name.clone(),
            profile,
            simulated: visit.site.ledger.is_simulated(),
            created_at: visit.site.clock.now(),
            requests: *requests,
            reserved: *reserved,
            settled: false,
            object,
        }
    }
}
