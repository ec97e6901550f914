//! GetFile: a file is copied, compressed, to the action's private folder. The machine itself stays as it is.

use std::path::Path;

use domain::Digest;
use domain::testimony::Artifact;

use super::super::{Broke, Context, Done, StopSignal, artifact_path};
use crate::crash;

/// The largest file that is got, in bytes before compression.
pub const COLLECT_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn start(cx: &Context<'_>, step: u16, path: &str, stop: &StopSignal) -> Result<Done, Broke> {
    let path = Path::new(path);
    let out = artifact_path(cx.staging, step);
    crash::reached("get_file.begin");
    let collected = cx.host.collect(path, COLLECT_BYTES_MAX, &out, stop)?;
    crash::reached("get_file.collected");
    let base = path.file_name().unwrap_or_default().to_string_lossy();
    let sha256 = Digest::parse(&collected.gz_sha256).ok_or_else(|| Broke::new("a SHA-256 that is none"))?;
    Ok(Done { artifact: Some(Artifact { sha256, size_bytes: collected.gz_bytes, file_name: format!("{base}.gz") }) })
}
