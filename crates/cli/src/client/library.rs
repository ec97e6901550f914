//! The library: the scripts and files that live responses use.

use super::answers::{Answer, LibraryFile};
use super::{Client, PAGE_ITEMS_MAX, Result};
use reqwest::multipart::{Form, Part};

/// The largest file the library takes, in bytes.
pub const LIBRARY_FILE_BYTES_MAX: u64 = 20 * 1024 * 1024;

/// A file for the library.
#[derive(Clone, Debug)]
pub struct LibraryUpload {
    /// Its name there.
    pub file_name: String,
    /// Its bytes; at most [`LIBRARY_FILE_BYTES_MAX`].
    pub content: Vec<u8>,
    /// What it is for.
    pub description: String,
    /// Which arguments it takes; `None` for none.
    pub parameters: Option<String>,
    /// Whether a file of this name is replaced. Actions asked for before keep the bytes they were asked for with.
    pub overrides: bool,
}

impl Client {
    /// The files of the library.
    pub async fn library(&self) -> Result<Answer<Vec<LibraryFile>>> {
        self.list(&["api", "libraryfiles"], None, PAGE_ITEMS_MAX).await
    }

    /// Puts a file into the library.
    pub async fn upload(&self, upload: &LibraryUpload) -> Result<Answer<LibraryFile>> {
        let url = self.http.base().join(&["api", "libraryfiles"])?;
        // A form can be sent once, so each attempt builds its own.
        let form = || {
            let part = Part::bytes(upload.content.clone()).file_name(upload.file_name.clone());
            let mut form = Form::new()
                .text("Description", upload.description.clone())
                .text("HasParameters", upload.parameters.is_some().to_string())
                .text("OverrideIfExists", upload.overrides.to_string());
            if let Some(parameters) = &upload.parameters {
                form = form.text("ParametersDescription", parameters.clone());
            }
            form.part("file", part)
        };
        let json = self.http.json(|web| web.post(url.clone()).multipart(form())).await?;
        Answer::read(json, "a library file")
    }

    /// Takes a file out of the library.
    pub async fn delete_library_file(&self, file_name: &str) -> Result<()> {
        let url = self.http.base().join(&["api", "libraryfiles", file_name])?;
        self.http.json(|web| web.delete(url.clone())).await.map(|_| ())
    }
}
