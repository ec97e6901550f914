//! What can go wrong between a caller and the API.

use std::error::Error;
use std::fmt;

/// Why a request has no result.
#[derive(Debug)]
pub enum ClientError {
    /// The API refused: its error envelope.
    Api {
        /// The HTTP status.
        status: u16,
        /// The envelope's code; empty if there was no envelope.
        code: String,
        /// The envelope's message, for people.
        message: String,
        /// The id of this answer in the server's logs; empty if there was none.
        target: String,
    },
    /// The token endpoint refused.
    SignIn {
        /// The HTTP status.
        status: u16,
        /// OAuth's word, such as `invalid_client`.
        error: String,
        /// For people.
        description: String,
    },
    /// No answer arrived.
    Transport {
        /// Where to.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The settings cannot be used; nothing was sent.
    Config(String),
    /// The answer is not what the API promises.
    Answer(String),
    /// No machine has this name.
    NoMachine(String),
    /// Several machines have this name.
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// What was received could not be written.
    Write(std::io::Error),
}

impl ClientError {
    /// Whether the same request may well succeed in a moment, so that a wait should go on.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Api { status, .. } | Self::SignIn { status, .. } => *status == 429 || *status >= 500,
            Self::Config(_) | Self::Answer(_) | Self::NoMachine(_) | Self::Ambiguous { .. } | Self::Write(_) => false,
        }
    }

    /// Whether it is the query that was not understood. The reference product has no code for that.
    pub fn is_about_query(&self) -> bool {
        matches!(self, Self::Api { status: 400, code, .. } if code == "ODataError" || code.is_empty())
    }

    /// Whether the server may have done what was asked although no answer arrived.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Transport { source, .. } => !source.is_connect() && !source.is_builder(),
            Self::Answer(_) => true,
            Self::Api { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api { status, code, message, target } => {
                write!(f, "{message} ({code}, HTTP {status}")?;
                if target.is_empty() { write!(f, ")") } else { write!(f, ", id {target})") }
            }
            Self::SignIn { status, error, description } => {
                write!(f, "no token: {description} ({error}, HTTP {status})")
            }
            Self::Transport { url, source } => {
                let causes = causes(source);
                write!(f, "no answer from {url}: {causes}")?;
                if causes.contains("UnknownIssuer") {
                    write!(f, "; name the file with the server's CA certificate by --ca-file")?;
                }
                Ok(())
            }
            Self::Config(why) | Self::Answer(why) => f.write_str(why),
            Self::NoMachine(name) => write!(f, "no machine is called {name}"),
            Self::Ambiguous { name, ids } => {
                write!(f, "{} machines are called {name}; give the id of one: {}", ids.len(), ids.join(", "))
            }
            Self::Write(error) => write!(f, "cannot write what was received: {error}"),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Transport { source, .. } => Some(source),
            Self::Write(error) => Some(error),
            _ => None,
        }
    }
}

/// The chain below an error: reqwest's own words say only that something failed.
fn causes(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next: Option<&dyn Error> = error.source();
    while let Some(cause) = next {
        words.push(cause.to_string());
        next = cause.source();
    }
    if words.is_empty() { error.to_string() } else { words.join(": ") }
}
