//! Machines without agents: enrolled through the real endpoint with requests for certificates of their own, and a
//! library script for what they are asked to run.

use anyhow::{Context as _, ensure};
use cli::client::{Answer, Client, ClientError, LibraryUpload};
use cli::fleet::Fleet;
use protocol::agent::{ENROL_PATH, EnrolAnswer, EnrolRequest};
use protocol::defender::action::{CommandWords, MachineAction, Param};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many enrolments are under way at once.
const ENROLLING: usize = 16;

/// How long one enrolment may take.
const ENROL_WITHIN: Duration = Duration::from_secs(30);

/// The script's name in the library.
pub(super) const SCRIPT_NAME: &str = "noop.sh";

/// How many actions one machine can have at once: one of each kind.
pub(crate) const SLOTS_PER_MACHINE: usize = 3;

/// Room for one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The machine's id.
    pub(crate) machine: Arc<str>,
    /// Which kind.
    pub(crate) kind: SlotKind,
}

/// A kind of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// Isolate.
    Isolate,
    /// Unisolate.
    Release,
    /// Run a library script.
    LiveResponse,
}

impl Slot {
    /// Asks for an action in it.
    pub(crate) async fn create(&self, client: &Client, comment: &str) -> Result<Answer<MachineAction>, ClientError> {
        match self.kind {
            SlotKind::Isolate => client.isolate(&self.machine, comment).await,
            SlotKind::Release => client.release(&self.machine, comment).await,
            SlotKind::LiveResponse => {
                let params = vec![Param { key: "ScriptName".into(), value: SCRIPT_NAME.into() }];
                let commands = [CommandWords { r#type: "RunScript".into(), params }];
                client.live_response(&self.machine, comment, &commands).await
            }
        }
    }
}

/// Every slot of these machines.
pub(crate) fn slots(machines: &[String]) -> Vec<Slot> {
    let kinds = [SlotKind::Isolate, SlotKind::Release, SlotKind::LiveResponse];
    let of = |id: &String| {
        let machine: Arc<str> = id.as_str().into();
        kinds.map(move |kind| Slot { machine: Arc::clone(&machine), kind })
    };
    machines.iter().flat_map(of).collect()
}

/// Puts the script into the library.
///
/// # Errors
/// The API refuses.
pub(crate) async fn provide(client: &Client) -> anyhow::Result<()> {
    let upload = LibraryUpload {
        file_name: SCRIPT_NAME.into(),
        content: b"#!/bin/sh\nexit 0\n".to_vec(),
        description: "load".into(),
        parameters: None,
        overrides: true,
    };
    client.upload(&upload).await.context("filling the library")?;
    Ok(())
}

/// Enrols so many machines and returns their ids. Their keys are thrown away: nobody will ever speak for them.
///
/// # Errors
/// One is refused.
pub(crate) async fn enrol(fleet: &Fleet, count: usize) -> anyhow::Result<Vec<String>> {
    let authority = std::fs::read(fleet.ca_file())?;
    // `cli::client` has made the process's TLS provider by now, or makes the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let web = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&authority)?])
        .timeout(ENROL_WITHIN)
        .build()?;
    let (token, url) = (fleet.enrol_token()?, format!("{}{ENROL_PATH}", fleet.url()));
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..ENROLLING)
        .map(|_| {
            let (web, token, url, next) = (web.clone(), token.clone(), url.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut ids = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return anyhow::Ok(ids);
                    }
                    ids.push(enrol_one(&web, &url, &token, number).await?);
                }
            })
        })
        .collect();
    let mut ids = Vec::with_capacity(count);
    for task in tasks {
        ids.extend(task.await.context("a task of the enrolment panicked")??);
    }
    ids.sort_unstable();
    Ok(ids)
}

async fn enrol_one(web: &reqwest::Client, url: &str, token: &str, number: usize) -> anyhow::Result<String> {
    let key = rcgen::KeyPair::generate()?;
    let csr_pem = rcgen::CertificateParams::new(vec![])?.serialize_request(&key)?.pem()?;
    let request = EnrolRequest { token: token.to_string(), csr_pem, name: format!("load{number:05}") };
    let response = web.post(url).json(&request).send().await.context("enrolling")?;
    let status = response.status();
    let answer = response.text().await?;
    ensure!(status.is_success(), "an enrolment was refused ({status}): {answer}");
    let answer: EnrolAnswer = serde_json::from_str(&answer).context("the answer to an enrolment")?;
    Ok(answer.machine)
}
