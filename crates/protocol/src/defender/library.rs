//! The LibraryFile entity.

use serde::{Deserialize, Serialize};

/// The entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LibraryFileEntity {
    /// Its name.
    pub file_name: String,
    /// The SHA-256 of its content, lower-case hex.
    pub sha256: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was first uploaded.
    pub creation_time: String,
    /// When it was last replaced.
    pub last_updated_time: String,
    /// Who uploaded it.
    pub created_by: String,
    /// Whether it takes parameters.
    pub has_parameters: bool,
    /// What its parameters are.
    pub parameters_description: Option<String>,
}
