//! A machine becomes known: a short-lived token and a certificate request made on the machine, for an id and a
//! certificate. Neither a host name nor any other id of the machine ever adopts an existing record: only a token that an
//! operator has made for that very machine does.

use super::AgentLink;
use crate::actions::{ActionError, Enrolled, MACHINE_NAME_BYTES_MAX, Origin, Returning, token_name, unheard};
use crate::api::error::ApiError;
use crate::clock::guid;
use crate::listen::PeerAddress;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use domain::audit::{CallerKind, Entry, Outcome};
use domain::ids::{Digest, Epoch, MachineId};
use domain::machine::Machine;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use protocol::agent::{ENROL_PATH, EnrolAnswer, EnrolRequest};
use protocol::defender::error::Code;
use std::time::Duration;

/// The largest enrolment request, in bytes.
const REQUEST_BYTES_MAX: usize = 32 * 1024;

/// How long an enrolment request may take to arrive: whoever sends it has shown nothing yet.
const REQUEST_WITHIN: Duration = Duration::from_secs(15);

/// The number of a first enrolment.
const FIRST_INCARNATION: u32 = 1;

/// Any other method is an unknown route, as everywhere on the API's listener.
pub(super) async fn only_post() -> ApiError {
    ApiError::new(Code::NotFound, "No HTTP resource was found that matches the request")
}

/// Enrols the machine that asks, and tells the audit log if it is refused.
pub(super) async fn enrol(State(link): State<AgentLink>, request: Request) -> Result<Json<EnrolAnswer>, ApiError> {
    let correlation = guid(&*link.clock);
    let address = request.extensions().get::<PeerAddress>().map(|peer| peer.0.ip());
    let operation = format!("POST {ENROL_PATH}");
    let origin = Origin { address, operation, correlation: correlation.to_string() };
    let mut entry = origin.entry(link.clock.now(), CallerKind::Nobody, "");
    let answered = answer(&link, request.into_body(), &origin, &mut entry).await;
    match answered {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let (status, code) = refusal.said();
            if status < 500 {
                link.actions.refused(Entry { outcome: Outcome::Refused { status, code }, ..entry }).await;
            }
            Err(refusal.known_as(correlation))
        }
    }
}

async fn answer(
    link: &AgentLink,
    body: Body,
    origin: &Origin,
    entry: &mut Entry,
) -> Result<Json<EnrolAnswer>, ApiError> {
    let body = read(body).await?;
    let request: EnrolRequest = serde_json::from_slice(&body)
        .map_err(|e| ApiError::new(Code::InvalidRequestBody, format!("not an enrolment request: {e}")))?;
    *entry = entry.clone().object(token_name(&Digest::of(request.token.as_bytes())));
    let name_ok = !request.name.is_empty()
        && request.name.len() <= MACHINE_NAME_BYTES_MAX
        && request.name.chars().all(|c| c.is_ascii_graphic());
    if !name_ok {
        return Err(ApiError::new(
            Code::InvalidInput,
            "the machine's name must be 1 to 253 printable ASCII characters",
        ));
    }
    let admitted = match link.actions.enrols_again(&request.token).await? {
        Some(machine) => admit_again(link, &request, machine, origin).await?,
        None => admit(link, &request, origin).await?,
    };
    let Admitted { enrolled, machine, incarnation, certificate_pem } = admitted;
    let refused = match enrolled {
        Enrolled::Stored => None,
        Enrolled::UnknownToken => Some("the enrolment token is unknown"),
        Enrolled::Expired => Some("the enrolment token has expired"),
        Enrolled::UsedUp => Some("the enrolment token was used already"),
        Enrolled::OtherMachine | Enrolled::Moved => Some("the enrolment token is for another machine"),
    };
    if let Some(why) = refused {
        tracing::warn!(name = request.name, why, "an enrolment was refused");
        return Err(ApiError::new(Code::Unauthorized, why));
    }
    tracing::info!(%machine, incarnation, name = request.name, "a machine was enrolled");
    let key: String = link.signer.public_key().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Json(EnrolAnswer {
        machine: machine.to_string(),
        incarnation,
        certificate_pem,
        authority_pem: link.authority.certificate_pem().to_string(),
        agent_address: link.agent_address.clone(),
        grant_key_id: link.signer.key_id().to_string(),
        grant_key_hex: key,
    }))
}

/// What became of a request.
struct Admitted {
    enrolled: Enrolled,
    machine: MachineId,
    incarnation: u32,
    certificate_pem: String,
}

/// As a new machine.
async fn admit(link: &AgentLink, request: &EnrolRequest, origin: &Origin) -> Result<Admitted, ApiError> {
    let (now, id, incarnation) = (link.clock.now(), MachineId(link.clock.random()), FIRST_INCARNATION);
    // The certificate first: a request that cannot be certified must not use up a token.
    let certificate_pem = certify(link, request, id, incarnation)?;
    let machine = Machine {
        id,
        name: request.name.clone(),
        incarnation,
        session: Epoch(0),
        first_seen: now,
        last_seen: now,
        told: unheard(),
        tags: vec![],
    };
    let enrolled = link.actions.enrol(&machine, &request.token, now, origin).await?;
    Ok(Admitted { enrolled, machine: id, incarnation, certificate_pem })
}

/// As the machine on record that the token is for.
async fn admit_again(
    link: &AgentLink,
    request: &EnrolRequest,
    machine: MachineId,
    origin: &Origin,
) -> Result<Admitted, ApiError> {
    let returning = Returning { machine, name: &request.name, token: &request.token };
    let certify = |incarnation| certify(link, request, machine, incarnation);
    let reenrolled = link.actions.reenrol(&returning, link.clock.now(), origin, certify).await?;
    let (enrolled, incarnation, certificate_pem) = reenrolled;
    Ok(Admitted { enrolled, machine, incarnation, certificate_pem })
}

fn certify(
    link: &AgentLink,
    request: &EnrolRequest,
    machine: MachineId,
    incarnation: u32,
) -> Result<String, ActionError> {
    let certificate = link.authority.sign_machine(&request.csr_pem, machine, incarnation);
    certificate.map_err(|e| ActionError::Invalid(format!("the certificate request is refused: {e}")))
}

/// The whole request, if it comes in time and is not too large.
async fn read(body: Body) -> Result<Bytes, ApiError> {
    let slow = || ApiError::new(Code::BadRequest, "the enrolment request took too long to arrive");
    let collected = tokio::time::timeout(REQUEST_WITHIN, Limited::new(body, REQUEST_BYTES_MAX).collect());
    match collected.await.map_err(|_| slow())? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => {
            Err(ApiError::new(Code::RequestTooLarge, "the enrolment request is too large"))
        }
        Err(e) => Err(ApiError::new(Code::InvalidRequestBody, "the enrolment request could not be read").because(e)),
    }
}
