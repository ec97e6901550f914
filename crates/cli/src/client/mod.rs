//! A client of the public API, for the commands, the demo and the benchmark. Knows what any other Defender client
//! knows, and the extensions under `/api/countermand`.

mod address;
mod answers;
mod error;
mod filter;
mod http;
mod library;
mod tls;
mod token;

pub use answers::{Answer, Explanation, History, HistoryLine, LibraryFile, Transcript};
pub use error::ClientError;
pub use filter::{ActionFilter, MachineFilter};
pub use library::{LIBRARY_FILE_BYTES_MAX, LibraryUpload};

use crate::output;
use http::Http;
use protocol::defender::action::{CommandWords, MachineAction};
use protocol::defender::machine::MachineEntity;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncWrite;

/// The largest page the API gives.
pub const PAGE_ITEMS_MAX: usize = 10_000;
/// The most pages of one list that are fetched.
const PAGES_MAX: usize = 1_000;
/// Where the actions are.
const ACTIONS: [&str; 2] = ["api", "machineactions"];
/// How many machines of one name are told apart.
const NAMESAKES_MAX: usize = 10;

/// Where the server is, whom to trust, and who asks.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `https://host[:port][/path]`; plain `http` for loopback addresses only.
    pub base_url: String,
    /// PEM file with the only roots to trust; without it, what the operating system trusts.
    pub ca_file: Option<PathBuf>,
    /// Who asks.
    pub credentials: Credentials,
}

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    /// An application with a secret; tokens are fetched and renewed.
    Client {
        /// The tenant whose token endpoint is asked.
        tenant: String,
        /// The application's id.
        client_id: String,
        /// Its secret.
        client_secret: String,
    },
    /// A token from elsewhere, never renewed.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { client_id, .. } => write!(f, "client {client_id}"),
            Self::Token(_) => write!(f, "token"),
        }
    }
}

/// A connection to one server as one caller; clones share it.
#[derive(Clone)]
pub struct Client {
    http: Arc<Http>,
}

/// A result of a request.
type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// Sets it up; sends nothing yet. Errors: [`ClientError::Config`] only.
    pub fn new(config: ClientConfig) -> Result<Self> {
        Ok(Self { http: Arc::new(Http::new(config)?) })
    }

    /// A bearer token for other programs.
    pub async fn bearer_token(&self) -> Result<String> {
        self.http.token().await
    }

    /// The machines that match, at most `top`.
    pub async fn machines(&self, filter: &MachineFilter, top: usize) -> Result<Answer<Vec<MachineEntity>>> {
        self.list(&["api", "machines"], filter.odata(), top).await
    }

    /// A machine by its id.
    pub async fn machine(&self, id: &str) -> Result<Answer<MachineEntity>> {
        self.get(&["api", "machines", id], "a machine").await
    }

    /// A machine by its id or its name. A name that several machines have is refused, never guessed at.
    pub async fn find_machine(&self, id_or_name: &str) -> Result<Answer<MachineEntity>> {
        if is_machine_id(id_or_name) {
            return self.machine(&id_or_name.to_ascii_lowercase()).await;
        }
        let filter = MachineFilter { name: Some(id_or_name.into()), id: None };
        let mut found = self.machines(&filter, NAMESAKES_MAX).await?.split();
        match (found.pop(), found.len()) {
            (None, _) => Err(ClientError::NoMachine(id_or_name.into())),
            (Some(machine), 0) => Ok(machine),
            (Some(last), _) => Err(ClientError::Ambiguous {
                name: id_or_name.into(),
                ids: found.into_iter().chain([last]).map(|machine| machine.item.id).collect(),
            }),
        }
    }

    /// The actions that match, newest first, at most `top`.
    pub async fn actions(&self, filter: &ActionFilter, top: usize) -> Result<Answer<Vec<MachineAction>>> {
        match self.list(&ACTIONS, filter.odata(), top).await {
            Err(error) if error.is_about_query() && filter.odata().is_some() => self.sifted(filter, top).await,
            answer => answer,
        }
    }

    /// An action.
    pub async fn action(&self, id: &str) -> Result<Answer<MachineAction>> {
        self.get(&["api", "machineactions", id], "an action").await
    }

    /// What happened to an action (extension).
    pub async fn history(&self, id: &str) -> Result<Answer<History>> {
        self.get(&["api", "countermand", "actions", id, "history"], "a history").await
    }

    /// Why an action stands as it does (extension).
    pub async fn explain(&self, id: &str) -> Result<Answer<Explanation>> {
        self.get(&["api", "countermand", "actions", id], "an explanation").await
    }

    /// Asks to cut a machine from the network.
    pub async fn isolate(&self, machine_id: &str, comment: &str) -> Result<Answer<MachineAction>> {
        let body = json!({ "Comment": comment, "IsolationType": "Full" });
        self.create(machine_id, "isolate", &body).await
    }

    /// Asks to lift an isolation.
    pub async fn release(&self, machine_id: &str, comment: &str) -> Result<Answer<MachineAction>> {
        self.create(machine_id, "unisolate", &json!({ "Comment": comment })).await
    }

    /// Asks to run commands, in this order.
    pub async fn live_response(
        &self,
        machine_id: &str,
        comment: &str,
        commands: &[CommandWords],
    ) -> Result<Answer<MachineAction>> {
        self.create(machine_id, "runliveresponse", &json!({ "Comment": comment, "Commands": commands })).await
    }

    /// Asks to cancel. An answer that is still InProgress means: accepted, not confirmed. An action that ended by
    /// itself is refused with status 400.
    pub async fn cancel(&self, id: &str, comment: &str) -> Result<Answer<MachineAction>> {
        let url = self.http.base().join(&["api", "machineactions", id, "cancel"])?;
        Answer::read(self.http.post(url, &json!({ "Comment": comment })).await?, "an action")
    }

    /// A link to what the command at `index` brought; good for a while, for whoever has it.
    pub async fn result_link(&self, id: &str, index: u16) -> Result<String> {
        let function = format!("GetLiveResponseResultDownloadLink(index={index})");
        let answer: Answer<Value> = self.get(&["api", "machineactions", id, &function], "a link").await?;
        match answer.item["value"].as_str() {
            Some(link) if !link.is_empty() => Ok(link.into()),
            _ => Err(ClientError::Answer("the answer has no link".into())),
        }
    }

    /// Fetches what a link leads to, up to `bytes_max`; the token is not sent. Returns the bytes written.
    pub async fn download(&self, link: &str, to: &mut (impl AsyncWrite + Unpin), bytes_max: u64) -> Result<u64> {
        self.http.download(link, to, bytes_max).await
    }

    /// The same from a server that takes one comparison only: asked more widely, sifted here.
    async fn sifted(&self, filter: &ActionFilter, top: usize) -> Result<Answer<Vec<MachineAction>>> {
        let mut found = Vec::new();
        let mut list = json!({});
        for comparison in filter.comparisons() {
            let part = self.list(&ACTIONS, comparison.odata(), PAGE_ITEMS_MAX).await?;
            if part.item.len() >= PAGE_ITEMS_MAX {
                output::notice(&format!(
                    "The server filters by one comparison only; of {} the newest {PAGE_ITEMS_MAX} were looked at.",
                    comparison.odata().unwrap_or_default()
                ));
            }
            list["@odata.context"] = part.json["@odata.context"].clone();
            found.extend(part.split().into_iter().filter(|action| filter.admits(&action.item)));
        }
        // Newest first, as a server that could have done it at once has them.
        found.sort_by_key(|action| Reverse(action.item.creation_date_time_utc.parse::<jiff::Timestamp>().ok()));
        found.truncate(top);
        let (items, values) = found.into_iter().map(|action| (action.item, action.json)).unzip();
        list["value"] = Value::Array(values);
        Ok(Answer { item: items, json: list })
    }

    async fn get<T: DeserializeOwned>(&self, segments: &[&str], what: &str) -> Result<Answer<T>> {
        Answer::read(self.http.get(self.http.base().join(segments)?).await?, what)
    }

    async fn create(&self, machine_id: &str, verb: &str, body: &Value) -> Result<Answer<MachineAction>> {
        let url = self.http.base().join(&["api", "machines", machine_id, verb])?;
        Answer::read(self.http.post(url, body).await?, "an action")
    }

    /// A list, page by page, until `top` items or its end. The JSON is that of the first page with all items in it.
    async fn list<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        filter: Option<String>,
        top: usize,
    ) -> Result<Answer<Vec<T>>> {
        let mut url = self.http.base().join(segments)?;
        // Who asks for more than a page asks for everything, and stops following links when there is enough.
        if top <= PAGE_ITEMS_MAX {
            url.query_pairs_mut().append_pair("$top", &top.to_string());
        }
        if let Some(filter) = filter {
            url.query_pairs_mut().append_pair("$filter", &filter);
        }
        let mut list = self.http.get(url).await?;
        let mut values = taken_values(&mut list)?;
        for _ in 1..PAGES_MAX {
            let Some(link) = list["@odata.nextLink"].as_str().filter(|_| values.len() < top) else { break };
            let mut page = self.http.get(self.http.base().own(link)?).await?;
            values.extend(taken_values(&mut page)?);
            list["@odata.nextLink"] = page["@odata.nextLink"].take();
        }
        values.truncate(top);
        if let Some(object) = list.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        list["value"] = Value::Array(values);
        let items = Vec::<T>::deserialize(&list["value"])
            .map_err(|error| ClientError::Answer(format!("the answer is not the list it should be: {error}")))?;
        Ok(Answer { item: items, json: list })
    }
}

/// Whether this is a machine's id and not a name: 40 hex digits.
pub fn is_machine_id(word: &str) -> bool {
    word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn taken_values(list: &mut Value) -> Result<Vec<Value>> {
    match list.get_mut("value").map(Value::take) {
        Some(Value::Array(values)) => Ok(values),
        _ => Err(ClientError::Answer("the answer is not a list".into())),
    }
}
