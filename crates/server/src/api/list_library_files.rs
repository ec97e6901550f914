//! GET libraryfiles.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use crate::actions::LibraryFile;
use axum::response::Response;
use protocol::defender::library::LibraryFileEntity;
use protocol::defender::time;

/// The name of the set that library files are in.
pub(super) const LIBRARY_FILES: &str = "LibraryFiles";

/// Library files, by name.
pub(super) async fn list_library_files(call: &mut Call) -> Result<Response, ApiError> {
    let files = call.state.actions.library_files(&call.caller).await?;
    let items = files.into_iter().map(entity_of).collect();
    Ok(answer::collection(&call.base_url, LIBRARY_FILES, items, None))
}

/// The entity of a library file.
pub(super) fn entity_of(file: LibraryFile) -> LibraryFileEntity {
    LibraryFileEntity {
        file_name: file.name,
        sha256: file.sha256.to_string(),
        description: file.description,
        creation_time: time::show(file.created_at),
        last_updated_time: time::show(file.updated_at),
        created_by: file.created_by,
        has_parameters: file.has_parameters,
        parameters_description: file.parameters_description,
    }
}
