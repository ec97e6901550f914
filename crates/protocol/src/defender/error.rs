//! The error envelope: `{"error":{"code","message","target"}}`, compact, on every error there is. Kibana's connector
//! reads `error.code` without looking whether it is there. A query that is not understood is told with an empty code,
//! with `details`, and without `target`, as recorded (MicrosoftDocs/microsoft-365-docs issue 12682).

use serde::{Deserialize, Serialize};

/// The envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Envelope {
    /// The error.
    pub error: ErrorBody,
}

/// The error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// One of [`Code`]'s words.
    pub code: String,
    /// For people; may change.
    pub message: String,
    /// The id of this response, for whoever looks for it in the logs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// Only of a query that is not understood, and empty there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub details: Option<Vec<String>>,
}

/// The codes we use, each with the status that documents and clients expect with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 400.
    BadRequest,
    /// 400.
    InvalidInput,
    /// 400: unusable, for example names in the wrong case.
    InvalidRequestBody,
    /// 400: names the parameter.
    MissingRequiredParameter,
    /// 400: a hash of another form.
    InvalidHashValue,
    /// 400: an address that is none.
    InvalidIpAddress,
    /// 400: not on this machine.
    OsPlatformNotSupported,
    /// 400: not with this agent.
    ClientVersionNotSupported,
    /// 400: one of its kind is active.
    ActiveRequestAlreadyExists,
    /// 400: a query that is not understood. The word stands in documents; what is sent is an empty one.
    ODataError,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 403: not a feature here.
    DisabledFeature,
    /// 404: no such route.
    NotFound,
    /// 404: no such thing.
    ResourceNotFound,
    /// 413.
    RequestTooLarge,
    /// 422: the same key, and another request. Ours; Defender has no such keys.
    IdempotencyKeyReused,
    /// 429.
    TooManyRequests,
    /// 500.
    InternalServerError,
    /// 503: the store cannot answer now.
    ServiceUnavailable,
}

impl Code {
    /// The word.
    pub fn word(self) -> String {
        format!("{self:?}")
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest
            | Self::InvalidInput
            | Self::InvalidRequestBody
            | Self::MissingRequiredParameter
            | Self::InvalidHashValue
            | Self::InvalidIpAddress
            | Self::OsPlatformNotSupported
            | Self::ClientVersionNotSupported
            | Self::ActiveRequestAlreadyExists
            | Self::ODataError => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::DisabledFeature => 403,
            Self::NotFound | Self::ResourceNotFound => 404,
            Self::RequestTooLarge => 413,
            Self::IdempotencyKeyReused => 422,
            Self::TooManyRequests => 429,
            Self::InternalServerError => 500,
            Self::ServiceUnavailable => 503,
        }
    }
}
