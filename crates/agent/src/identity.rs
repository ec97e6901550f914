//! Who this agent is: made at enrolment, kept in the state folder. The private key is made here and never leaves.

use crate::worker::Identity;
use anyhow::{Context as _, bail};
use domain::ids::MachineId;
use protocol::agent::{ENROL_PATH, EnrolAnswer, EnrolRequest};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long the server may take to answer an enrolment.
const ENROL_LIMIT: Duration = Duration::from_secs(30);

/// The file's name in the state folder.
const FILE: &str = "identity.json";

/// How to become known.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The API's base URL, `https://…`.
    pub server: String,
    /// The enrolment token.
    pub token: String,
    /// The authority's certificate, PEM.
    pub authority_pem: String,
    /// The machine's own name for itself.
    pub name: String,
}

/// What is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// What the server answered.
    pub answer: EnrolAnswer,
    /// The private key of the certificate, PEM.
    pub key_pem: String,
}

impl Enrolled {
    /// What stands in the state folder, if this machine is enrolled.
    pub fn load(state_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = state_dir.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{}", path.display()))?)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("{}", path.display())),
        }
    }

    /// Enrols this machine and keeps what it became.
    pub async fn enrol(state_dir: &Path, enrolment: &Enrolment) -> anyhow::Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let params = rcgen::CertificateParams::new(vec![])?;
        let csr_pem = params.serialize_request(&key)?.pem()?;
        let request = EnrolRequest { token: enrolment.token.clone(), csr_pem, name: enrolment.name.clone() };
        let url = format!("{}{ENROL_PATH}", enrolment.server.trim_end_matches('/'));
        let tls = crate::link::authority_only(&enrolment.authority_pem)?;
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(ENROL_LIMIT).build()?;
        let response = client.post(&url).json(&request).send().await.with_context(|| format!("cannot reach {url}"))?;
        let status = response.status();
        let body = response.text().await?;
        if !status.is_success() {
            bail!("the server refuses to enrol this machine ({status}): {body}");
        }
        let answer: EnrolAnswer = serde_json::from_str(&body).context("the server's answer is not understood")?;
        let enrolled = Self { answer, key_pem: key.serialize_pem() };
        enrolled.identity()?;
        enrolled.keep(state_dir)?;
        Ok(enrolled)
    }

    /// Whose grants to obey.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        let machine = MachineId::parse(&self.answer.machine).context("the machine id is none")?;
        let key = domain::Digest::parse(&self.answer.grant_key_hex).context("the grant key is none")?;
        Ok(Identity {
            machine,
            incarnation: self.answer.incarnation,
            grant_key_id: self.answer.grant_key_id.clone(),
            grant_key: key.0,
        })
    }

    fn keep(&self, state_dir: &Path) -> anyhow::Result<()> {
        let fresh = state_dir.join("identity.new");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, state_dir.join(FILE))?;
        std::fs::File::open(state_dir)?.sync_all()?;
        Ok(())
    }
}
