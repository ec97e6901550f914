//! Reading bodies, within limits of size and time.

use super::call::Call;
use super::error::ApiError;
use axum::http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use protocol::defender::error::Code;
use std::time::Duration;

/// The longest JSON body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

impl Call {
    /// The whole body.
    ///
    /// # Errors
    /// It is longer than `bytes_max`, takes too long, or breaks off.
    pub(super) async fn bytes(&mut self, bytes_max: usize) -> Result<hyper::body::Bytes, ApiError> {
        self.check_announced(bytes_max)?;
        let body = Limited::new(self.body(), bytes_max);
        let read = tokio::time::timeout(BODY_WITHIN, body.collect()).await;
        let read = read.map_err(|_| ApiError::new(Code::BadRequest, "The request body took too long to arrive."))?;
        read.map(|whole| whole.to_bytes()).map_err(|e| {
            if e.is::<LengthLimitError>() {
                return too_large(bytes_max);
            }
            ApiError::new(Code::BadRequest, "The request body could not be read.").because(e)
        })
    }

    /// Refuses a body that says itself that it is too long, before any of it is read.
    ///
    /// # Errors
    /// It is longer than `bytes_max`.
    pub(super) fn check_announced(&self, bytes_max: usize) -> Result<(), ApiError> {
        let announced = self.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > bytes_max) { Err(too_large(bytes_max)) } else { Ok(()) }
    }
}

pub(super) fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(Code::RequestTooLarge, format!("The request body is larger than {bytes_max} bytes."))
}
