//! POST libraryfiles.

use super::answer;
use super::body::too_large;
use super::call::Call;
use super::error::ApiError;
use super::list_library_files::{LIBRARY_FILES, entity_of};
use crate::actions::{LIBRARY_FILE_BYTES_MAX, NewLibraryFile};
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use http_body_util::Limited;
use protocol::defender::error::Code;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The longest form, in bytes: the largest file, and room for what is around it.
const FORM_BYTES_MAX: usize = LIBRARY_FILE_BYTES_MAX + 64 * 1024;

/// The longest text field of the form, in bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// The most parts a form may have.
const PARTS_MAX: usize = 32;

/// How many uploads there are at once; each is held in memory. Further ones wait.
const UPLOADS_MAX: usize = 4;

/// The turns to upload.
static UPLOADS: Semaphore = Semaphore::const_new(UPLOADS_MAX);

/// How long a form may take to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(300);

/// Adds a library file: 200 with it, as documented, not 201.
pub(super) async fn upload_library_file(call: &mut Call) -> Result<Response, ApiError> {
    call.check_announced(FORM_BYTES_MAX)?;
    // Held until the file is on record. The turns are never closed.
    let _turn = UPLOADS.acquire().await;
    let read = tokio::time::timeout(FORM_WITHIN, form(call)).await;
    let new = read.map_err(|_| ApiError::new(Code::BadRequest, "The request body took too long to arrive."))??;
    let file = call.state.actions.upload_library_file(&call.caller, new, call.now).await?;
    Ok(answer::entity(StatusCode::OK, &call.base_url, LIBRARY_FILES, entity_of(file)))
}

async fn form(call: &mut Call) -> Result<NewLibraryFile, ApiError> {
    let mut request = Request::new(Body::new(Limited::new(std::mem::take(call.body()), FORM_BYTES_MAX)));
    if let Some(content_type) = call.headers.get(CONTENT_TYPE) {
        request.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    // Our own limit stands above.
    DefaultBodyLimit::disable().apply(&mut request);
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|e| unusable("The request body must be multipart/form-data.").because(e))?;
    let mut file: Option<(String, Vec<u8>)> = None;
    let mut new = NewLibraryFile {
        name: String::new(),
        content: vec![],
        description: None,
        parameters_description: None,
        has_parameters: false,
        replace: false,
    };
    let mut parts = 0;
    while let Some(part) = form.next_field().await.map_err(not_read)? {
        parts += 1;
        if parts > PARTS_MAX {
            return Err(unusable("The form has too many parts."));
        }
        // Documents say File, their example says file: names are matched without regard to case.
        match part.name().unwrap_or_default().to_ascii_lowercase().as_str() {
            "file" => {
                let name = part.file_name().unwrap_or_default().to_string();
                file = Some((name, bytes(part, LIBRARY_FILE_BYTES_MAX).await?));
            }
            "description" => new.description = Some(text(part).await?),
            "parametersdescription" => new.parameters_description = Some(text(part).await?),
            "hasparameters" => new.has_parameters = truth("HasParameters", &text(part).await?)?,
            "overrideifexists" => new.replace = truth("OverrideIfExists", &text(part).await?)?,
            _ => {}
        }
    }
    let missing = || ApiError::new(Code::MissingRequiredParameter, "The required parameter 'File' is missing");
    (new.name, new.content) = file.ok_or_else(missing)?;
    Ok(new)
}

async fn bytes(mut part: Field<'_>, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(not_read)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn text(part: Field<'_>) -> Result<String, ApiError> {
    let bytes = bytes(part, TEXT_BYTES_MAX).await?;
    String::from_utf8(bytes).map_err(|_| unusable("A part of the form is not UTF-8."))
}

fn truth(name: &str, text: &str) -> Result<bool, ApiError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(ApiError::new(Code::InvalidInput, format!("{name} must be true or false."))),
    }
}

fn not_read(error: MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(FORM_BYTES_MAX);
    }
    unusable("The form could not be read.").because(error)
}

fn unusable(why: &str) -> ApiError {
    ApiError::new(Code::InvalidRequestBody, why)
}
