//! Other issuers whose tokens are taken.

use crate::tokens::checked_url;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::PathBuf;

/// The most issuers.
const ISSUERS_MAX: usize = 32;

/// Another issuer whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// As its tokens name it (`iss`), exactly; an https URL.
    pub issuer: String,
    /// Where its keys are; otherwise where its discovery document says.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Who its tokens must be for (`aud`): any one of these, exactly. At least one.
    pub audiences: Vec<String>,
    /// The tenants that its tokens may be of (`tid`); empty: not looked at.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// The claim with an application's permissions; a name, or a path that begins with a slash.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// The claim with the permissions that a person delegates; the same.
    #[serde(default = "scopes")]
    pub scopes_claim: String,
    /// A PEM file with the only roots to trust when it is asked; otherwise what the operating system trusts.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether it may be in a private network.
    #[serde(default)]
    pub private_addresses: bool,
}

fn roles() -> String {
    "roles".into()
}

fn scopes() -> String {
    "scp".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuers: Vec<IssuerConfig>,
}

impl IssuerConfig {
    /// An issuer of which nothing special is known.
    pub fn of(issuer: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.into(),
            jwks_url: None,
            audiences: vec![audience.into()],
            tenants: vec![],
            roles_claim: roles(),
            scopes_claim: scopes(),
            ca_file: None,
            private_addresses: false,
        }
    }

    /// The issuers of a configuration file: `{"issuers":[…]}` with the fields of this struct.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn read_file(text: &str) -> Result<Vec<Self>, String> {
        let File { issuers } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if issuers.len() > ISSUERS_MAX {
            return Err(format!("more than {ISSUERS_MAX} issuers"));
        }
        let mut names = HashSet::new();
        for issuer in &issuers {
            issuer.check().map_err(|why| format!("issuer {:?}: {why}", issuer.issuer))?;
            if !names.insert(issuer.issuer.as_str()) {
                return Err(format!("issuer {:?} stands twice", issuer.issuer));
            }
        }
        Ok(issuers)
    }

    fn check(&self) -> Result<(), String> {
        let issuer = checked_url(&self.issuer).ok_or("it must be an https URL without credentials")?;
        if issuer.query().is_some() || issuer.fragment().is_some() {
            return Err("it must have neither a query nor a fragment".into());
        }
        if self.jwks_url.as_deref().is_some_and(|url| checked_url(url).is_none()) {
            return Err("jwks_url must be an https URL without credentials".into());
        }
        let lists = [&self.audiences, &self.tenants];
        if self.audiences.is_empty() || lists.into_iter().flatten().any(String::is_empty) {
            return Err("audiences must hold at least one, and none may be empty; nor any of tenants".into());
        }
        if self.roles_claim.is_empty() || self.scopes_claim.is_empty() || self.roles_claim == self.scopes_claim {
            return Err("roles_claim and scopes_claim must be two names".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(issuers: &str) -> Result<Vec<IssuerConfig>, String> {
        IssuerConfig::read_file(&format!(r#"{{"issuers":[{issuers}]}}"#))
    }

    #[test]
    fn an_issuer_with_little_said() {
        let read = read(r#"{"issuer":"https://id.example.org/realms/soc","audiences":["countermand"]}"#).unwrap();
        assert_eq!(read, [IssuerConfig::of("https://id.example.org/realms/soc", "countermand")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = r#"{"issuer":"https://a","audiences":["x"]}"#;
        for (text, expected) in [
            (r#"{"issuer":"http://a","audiences":["x"]}"#, "https"),
            (r#"{"issuer":"https://u:p@a","audiences":["x"]}"#, "https"),
            (r#"{"issuer":"https://a?b","audiences":["x"]}"#, "query"),
            (r#"{"issuer":"https://a","audiences":[]}"#, "audiences"),
            (r#"{"issuer":"https://a","audiences":["x"],"tenants":[""]}"#, "tenants"),
            (r#"{"issuer":"https://a"}"#, "audiences"),
            (r#"{"issuer":"https://a","audiences":["x"],"jwks_url":"http://a"}"#, "jwks_url"),
            (r#"{"issuer":"https://a","audiences":["x"],"audience":"y"}"#, "audience"),
            (r#"{"issuer":"https://a","audiences":["x"],"roles_claim":"scp"}"#, "roles_claim"),
            (&format!("{good},{good}"), "twice"),
            (&vec![good; 33].join(","), "more than"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
