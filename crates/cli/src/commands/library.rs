//! `library upload`, `library list` and `library delete`.

use super::{Complaint, Done};
use crate::client::{Client, LIBRARY_FILE_BYTES_MAX, LibraryFile, LibraryUpload};
use crate::exit::Exit;
use crate::output::{Output, instant, shortened};
use std::io::Read;
use std::path::{Path, PathBuf};

/// So much of a description is shown in a list, in characters.
const DESCRIPTION_CHARS_MAX: usize = 60;

/// What to do with the library.
#[derive(Debug, clap::Subcommand)]
pub enum LibraryCommand {
    /// Put a script or a file into the library
    #[command(after_help = "Example:\n  countermand library upload ./triage.sh --description \"first look\" \\\n    \
                            --parameters \"the directory to look at\"")]
    Upload(UploadArgs),
    /// List the library
    #[command(after_help = "Example:\n  countermand library list -o jsonl")]
    List,
    /// Take files out of the library; actions asked for before keep what they were asked for with
    #[command(after_help = "Example:\n  countermand library delete triage.sh")]
    Delete {
        /// The file's name in the library
        #[arg(required = true)]
        name: Vec<String>,
    },
}

/// What to put into the library.
#[derive(Debug, clap::Args)]
pub struct UploadArgs {
    /// The file on this computer
    file: PathBuf,
    /// Its name in the library, if not its own
    #[arg(long)]
    name: Option<String>,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
    /// Which arguments the script takes
    #[arg(long, value_name = "DESCRIPTION")]
    parameters: Option<String>,
    /// Replace a file of this name
    #[arg(long = "override")]
    overrides: bool,
}

impl LibraryCommand {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        match self {
            Self::Upload(args) => upload(args, client, output).await,
            Self::List => list(client, output).await,
            Self::Delete { name } => {
                for name in name {
                    client.delete_library_file(&name).await?;
                    output.line(&format!("Deleted {name}"));
                }
                Ok(Exit::Ok)
            }
        }
    }
}

async fn upload(args: UploadArgs, client: &Client, output: Output) -> Done {
    let own_name = || args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let file_name = args.name.clone().or_else(own_name).ok_or_else(|| Complaint::usage("the file has no name"))?;
    let content = content(&args.file)?;
    let upload = LibraryUpload {
        file_name,
        content,
        description: args.description,
        parameters: args.parameters,
        overrides: args.overrides,
    };
    let file = client.upload(&upload).await?;
    output.item(&file.json);
    output.line(&format!("Uploaded {} (sha256 {})", file.item.file_name, file.item.sha256));
    Ok(Exit::Ok)
}

async fn list(client: &Client, output: Output) -> Done {
    let files = client.library().await?;
    output.list(&files.json);
    let row = |file: &LibraryFile| {
        vec![
            file.file_name.clone(),
            file.sha256.clone(),
            instant(&file.last_updated_time),
            file.created_by.clone(),
            shortened(file.description.as_deref().unwrap_or_default(), DESCRIPTION_CHARS_MAX),
        ]
    };
    output.table(&["NAME", "SHA256", "UPDATED (UTC)", "BY", "DESCRIPTION"], files.item.iter().map(row).collect());
    Ok(Exit::Ok)
}

/// The file's bytes, refused here rather than after a long way if the library will not take so many.
fn content(path: &Path) -> Result<Vec<u8>, Complaint> {
    let unreadable = |error: std::io::Error| Complaint::local(format!("cannot read {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LIBRARY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIBRARY_FILE_BYTES_MAX {
        return Err(Complaint::local(format!("{} is larger than {LIBRARY_FILE_BYTES_MAX} bytes", path.display())));
    }
    Ok(bytes)
}
