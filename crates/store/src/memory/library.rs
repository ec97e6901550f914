//! The library. Content stands apart from the files, by its digest, for as long as a file or an action that is not
//! final names it.

use super::guards;
use super::tables::Tables;
use crate::{LibraryFile, LibraryPut, StoreError};
use domain::audit::Entry;
use domain::ids::Digest;

impl Tables {
    /// Adds or replaces a file.
    pub(super) fn put_library_file(
        &mut self,
        file: &LibraryFile,
        content: &[u8],
        replace: bool,
        audit: &Entry,
    ) -> Result<LibraryPut, StoreError> {
        if Digest::of(content) != file.sha256 || content.len() as u64 != file.size_bytes {
            let why = format!("the content of {} is not what its digest and length say", file.name);
            return Err(StoreError::Refused(why));
        }
        guards::fits(file.size_bytes)?;
        let mut file = file.clone();
        let before = self.files.get(&file.name).map(|before| (before.sha256, before.created_at));
        if let Some((_, created_at)) = before {
            if !replace {
                return Ok(LibraryPut::Exists);
            }
            file.created_at = created_at;
        }
        self.contents.entry(file.sha256).or_insert_with(|| content.to_vec());
        self.files.insert(file.name.clone(), file);
        if let Some((sha256, _)) = before {
            self.forget_unnamed(&sha256);
        }
        self.append_audit(audit);
        self.count();
        Ok(LibraryPut::Stored)
    }

    /// Deletes a file; false if there is none of that name.
    pub(super) fn delete_library_file(&mut self, name: &str, audit: &Entry) -> bool {
        let Some(file) = self.files.remove(name) else { return false };
        self.forget_unnamed(&file.sha256);
        self.append_audit(audit);
        self.count();
        true
    }

    /// Forgets a content that neither a file nor an action that is not final names.
    pub(super) fn forget_unnamed(&mut self, sha256: &Digest) {
        let mut live = self.live.values().flatten().map(|place| &self.actions[*place]);
        let named =
            self.files.values().any(|file| file.sha256 == *sha256) || live.any(|row| row.holds.contains(sha256));
        if !named {
            self.contents.remove(sha256);
        }
    }
}
