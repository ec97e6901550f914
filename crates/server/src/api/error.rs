//! The one place where what went wrong becomes HTTP. The chain of causes goes to the log, once, under the same id that
//! the caller is shown; the caller is told nothing of our insides.

use super::answer;
use crate::actions::{ActionError, Lacking};
use crate::clock::{SystemClock, guid};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use domain::machine::Incapable;
use domain::permission::{Operation, PermissionType};
use protocol::defender::action::status_word;
use protocol::defender::error::{Code, Envelope, ErrorBody};
use protocol::defender::request::BodyError;
use uuid::Uuid;

/// The header in which the id of a response stands too: the only place for it where the body has none.
const CORRELATION_ID: &str = "mise-correlation-id";

/// How long to wait when the store does not answer, in seconds.
const STORE_RETRY_AFTER_SECONDS: u64 = 5;

/// How long to wait when there are as many live responses as there may be, in seconds. When one of them ends nobody
/// knows; this is what a short one takes.
const SESSIONS_RETRY_AFTER_SECONDS: u64 = 60;

/// The permissions of a cancel as the reference product's own refusal names them, one of them misspelt.
const CANCEL_PERMISSIONS: &str = "Machine.Isolate, Machine.CollectForensic, Machine.Scan, Machine.RestrictExecution, \
    Machine.StopAndQuarantine, Machine.Offboard, Machine.LiveResponse";

/// A refusal on its way to the caller.
#[derive(Debug)]
pub struct ApiError {
    code: Code,
    message: String,
    retry_after_seconds: Option<u64>,
    /// The id under which the log has it; none: one is made up when it is answered.
    target: Option<Uuid>,
    /// For the log only.
    cause: Option<String>,
}

impl ApiError {
    /// A refusal with these words.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_seconds: None, target: None, cause: None }
    }

    /// The same, with what only the log is told.
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The same, under this id.
    pub fn known_as(mut self, target: Uuid) -> Self {
        self.target = Some(target);
        self
    }

    /// Its status and its code's word.
    pub fn said(&self) -> (u16, String) {
        (self.code.status(), self.code.word())
    }

    /// The same, with when to try again.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The caller is not known.
    pub(super) fn unauthorized(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::Unauthorized, "The access token is missing, expired, or not valid for this resource.")
            .because(cause)
    }

    /// The caller may not do this.
    pub(super) fn forbidden(lacking: Lacking) -> Self {
        let words = || lacking.any_of.iter().map(|permission| permission.wire()).collect::<Vec<_>>().join(", ");
        let (names, of_type) = match (lacking.permission_type, lacking.operation) {
            (PermissionType::Application, Operation::Cancel) => (CANCEL_PERMISSIONS.to_string(), "application"),
            (PermissionType::Application, _) => (words(), "application"),
            (PermissionType::Delegated, _) => (words(), "delegated"),
        };
        let message = format!(
            "The application does not have any of the required {of_type} permissions ({names}) to access the \
             resource."
        );
        Self::new(Code::Forbidden, message)
    }

    /// Nothing is served there.
    pub(super) fn no_route() -> Self {
        Self::new(Code::NotFound, "No HTTP resource was found that matches the request URI.")
    }

    /// The query options cannot be followed.
    pub(super) fn query(why: impl std::fmt::Display) -> Self {
        Self::new(Code::ODataError, format!("The query specified in the URI is not valid. {why}"))
    }

    /// Something broke that the caller can do nothing about.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::InternalServerError, "An internal error occurred. Try again later.").because(cause)
    }
}

/// The code of a refusal, beside its response: for the audit log.
#[derive(Clone, Debug)]
pub(super) struct RefusalCode(pub(super) String);

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        let message = error.to_string();
        match error {
            ActionError::Forbidden(lacking) => Self::forbidden(lacking),
            ActionError::NotFound(_) => Self::new(Code::ResourceNotFound, message),
            // Clients match on this text as well as on the code.
            ActionError::AlreadyActive(other) => {
                Self::new(Code::ActiveRequestAlreadyExists, message).because(format_args!("{other} is active"))
            }
            ActionError::Refused(refusal) => {
                let status = status_word(refusal.stage);
                Self::new(Code::BadRequest, format!("The machine action is already {status}: its state is final"))
            }
            ActionError::KeyTaken => Self::new(
                Code::IdempotencyKeyReused,
                "The Idempotency-Key was used for another request within the last 24 hours.",
            ),
            ActionError::TooManyLiveResponses(_) => {
                Self::new(Code::TooManyRequests, format!("{message}. Try again when one of them has ended."))
                    .retry_after(SESSIONS_RETRY_AFTER_SECONDS)
            }
            ActionError::NotSupported(_) | ActionError::Incapable { why: Incapable::Machine, .. } => {
                Self::new(Code::OsPlatformNotSupported, message)
            }
            ActionError::Incapable { why: Incapable::Agent, .. } => Self::new(Code::ClientVersionNotSupported, message),
            ActionError::Invalid(_) => Self::new(Code::InvalidInput, message),
            ActionError::Store(_) if error.is_unavailable() => {
                Self::new(Code::ServiceUnavailable, "The service cannot record or read now. Try again later.")
                    .retry_after(STORE_RETRY_AFTER_SECONDS)
                    .because(message)
            }
            ActionError::Store(_) => Self::internal(message),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::Unusable(_) => Code::InvalidRequestBody,
            BodyError::Missing(_) => Code::MissingRequiredParameter,
            BodyError::Invalid(_) => Code::InvalidInput,
            BodyError::InvalidHash(_) => Code::InvalidHashValue,
            BodyError::NotSupported(_) => Code::OsPlatformNotSupported,
        };
        Self::new(code, error.to_string())
    }
}

impl ApiError {
    /// What the caller is shown. What is wrong with a query is said in a form of its own, as recorded.
    fn body(&self, code: String, target: &str) -> ErrorBody {
        let message = self.message.clone();
        match self.code {
            Code::ODataError => ErrorBody { code: String::new(), message, target: None, details: Some(vec![]) },
            _ => ErrorBody { code, message, target: Some(target.into()), details: None },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let target = self.target.unwrap_or_else(|| guid(&SystemClock)).to_string();
        let (code, cause) = (self.code.word(), self.cause.as_deref().unwrap_or("-"));
        let refusal_code = RefusalCode(code.clone());
        if self.code.status() >= 500 {
            tracing::error!(target_id = target, code, cause, "a request failed");
        } else {
            tracing::info!(target_id = target, code, cause, said = self.message, "a request was refused");
        }
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer::json(status, &Envelope { error: self.body(code, &target) });
        response.extensions_mut().insert(refusal_code);
        if let Ok(id) = HeaderValue::try_from(target) {
            response.headers_mut().insert(HeaderName::from_static(CORRELATION_ID), id);
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
