//! The library: files that live responses put and run.

use super::{ActionError, Actions, Caller, authorise};
use domain::command::LibraryRef;
use domain::ids::Digest;
use domain::permission::Operation;
use domain::time::Timestamp;
use store::{LibraryFile, LibraryPut};

/// The largest library file, in bytes: 20 MB, as documented.
pub const LIBRARY_FILE_BYTES_MAX: usize = 20 * 1000 * 1000;

/// The longest file name, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLibraryFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
    /// What it is for.
    pub description: Option<String>,
    /// What its parameters are.
    pub parameters_description: Option<String>,
    /// Whether it takes parameters.
    pub has_parameters: bool,
    /// Whether a file of that name is replaced.
    pub replace: bool,
}

impl Actions {
    /// Library files, by name.
    pub async fn library_files(&self, caller: &Caller) -> Result<Vec<LibraryFile>, ActionError> {
        authorise(caller, Operation::Library)?;
        Ok(self.store.library_files().await?)
    }

    /// Adds a library file.
    pub async fn upload_library_file(
        &self,
        caller: &Caller,
        new: NewLibraryFile,
        now: Timestamp,
    ) -> Result<LibraryFile, ActionError> {
        authorise(caller, Operation::Library)?;
        check_name(&new.name)?;
        if new.content.len() > LIBRARY_FILE_BYTES_MAX {
            return Err(ActionError::Invalid(format!("a library file has at most {LIBRARY_FILE_BYTES_MAX} bytes")));
        }
        let file = LibraryFile {
            name: new.name,
            sha256: Digest::of(&new.content),
            size_bytes: new.content.len() as u64,
            description: new.description,
            parameters_description: new.parameters_description,
            has_parameters: new.has_parameters,
            created_by: caller.name.clone(),
            created_at: now,
            updated_at: now,
        };
        let entry = caller.entry(now).object(&file.name).content(file.sha256);
        match self.store.put_library_file(&file, &new.content, new.replace, &entry).await? {
            LibraryPut::Stored => {
                // As it is on record: a replaced file keeps the time it was first uploaded.
                let kept = self.store.library_files().await?.into_iter().find(|kept| kept.name == file.name);
                Ok(kept.unwrap_or(file))
            }
            LibraryPut::Exists => Err(ActionError::Invalid(format!("there is a file named {} already", file.name))),
        }
    }

    /// Deletes a library file. What an action that is not final names by digest stays for it.
    pub async fn delete_library_file(&self, caller: &Caller, name: &str, now: Timestamp) -> Result<(), ActionError> {
        authorise(caller, Operation::Library)?;
        if self.store.delete_library_file(name, &caller.entry(now).object(name)).await? {
            Ok(())
        } else {
            Err(ActionError::NotFound(format!("Library file {name}")))
        }
    }
}

/// A name that is one path component on every machine: no way out of the folder it is put into.
fn check_name(name: &str) -> Result<(), ActionError> {
    let plain = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name != "."
        && name != ".."
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    if plain { Ok(()) } else { Err(ActionError::Invalid("the file name must be a plain name".into())) }
}

pub(super) fn find(files: &[LibraryFile], name: &str) -> Result<LibraryRef, ActionError> {
    let file = files.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| ActionError::NotFound(format!("Library file {name}")))?;
    Ok(LibraryRef { name: file.name.clone(), sha256: file.sha256, size_bytes: file.size_bytes })
}
