//! What a token says, read strictly: a claim that stands twice, or is of another type, is a refusal.

use super::verifier::TokenError;
use crate::actions::{Caller, Origin};
use domain::permission::{Permission, PermissionType};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The longest name of a caller, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The claims of a token.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

/// The names under which a token says what its bearer may do.
#[derive(Clone, Copy)]
pub(super) struct PermissionClaims<'a> {
    /// What an application was granted: a list.
    pub(super) roles: &'a str,
    /// What a person delegated: a text with spaces, or a list.
    pub(super) scopes: &'a str,
    /// Whether an application's token has roles even if it was granted none, as ours do. Others leave the claim out.
    pub(super) always_roles: bool,
}

impl Claims {
    /// The claim of this name; the place of one, if the name begins with a slash (RFC 6901).
    fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else { return self.0.get(name) };
        let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let outer = self.0.get(&first.replace("~1", "/").replace("~0", "~"))?;
        rest.map_or(Some(outer), |rest| outer.pointer(&format!("/{rest}")))
    }

    /// A claim that is a text, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TokenError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::Malformed),
        }
    }

    /// A claim that must be a text.
    pub(super) fn required_text(&self, name: &str) -> Result<&str, TokenError> {
        self.text(name)?.ok_or(TokenError::Malformed)
    }

    /// A claim that is a whole number, if it is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, TokenError> {
        self.get(name).map(|value| value.as_i64().ok_or(TokenError::Malformed)).transpose()
    }

    /// A claim that must be a whole number.
    pub(super) fn required_number(&self, name: &str) -> Result<i64, TokenError> {
        self.number(name)?.ok_or(TokenError::Malformed)
    }

    /// A claim that is a list of texts, if it is there.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, TokenError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or(TokenError::Malformed)?;
        let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        texts.map(Some).ok_or(TokenError::Malformed)
    }

    /// Whether there is such a claim.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Who calls. A token with scopes is a person's, and what roles it also has are not the application's to use; any
    /// other is an application's.
    pub(super) fn caller(&self, names: PermissionClaims<'_>) -> Result<Caller, TokenError> {
        let Some(scopes) = self.scopes(names.scopes)? else { return self.application(names) };
        let user = match self.text("preferred_username")? {
            Some(user) => user,
            None => self.required_text("upn")?,
        };
        // An application's id under a person's hand would say that somebody else has acted.
        if uuid::Uuid::try_parse(user).is_ok() {
            return Err(TokenError::Malformed);
        }
        let through = self.application_id()?.filter(|id| is_plain(id)).map(Into::into);
        Ok(Caller { through, ..caller(user, PermissionType::Delegated, &scopes)? })
    }

    fn scopes(&self, name: &str) -> Result<Option<Vec<&str>>, TokenError> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(Some(text.split_ascii_whitespace().collect())),
            _ => self.texts(name),
        }
    }

    fn application_id(&self) -> Result<Option<&str>, TokenError> {
        let mut id = None;
        for name in ["appid", "azp", "client_id"] {
            id = id.or(self.text(name)?);
        }
        Ok(id)
    }

    fn application(&self, names: PermissionClaims<'_>) -> Result<Caller, TokenError> {
        let id = self.application_id()?.ok_or(TokenError::Malformed)?;
        let own_account = format!("service-account-{id}");
        let is_person = |name: &str| Ok(self.text(name)?.is_some_and(|user| user != own_account));
        // A person's token without scopes: its roles are the person's, and the application's name would hide who acts.
        if is_person("preferred_username")? || is_person("upn")? {
            return Err(TokenError::Person);
        }
        let roles = self.texts(names.roles)?;
        if names.always_roles && roles.is_none() {
            return Err(TokenError::Malformed);
        }
        let roles = roles.unwrap_or_default();
        caller(id, PermissionType::Application, &roles)
    }
}

/// What of the words is no permission of ours means nothing here.
fn caller(name: &str, permission_type: PermissionType, words: &[&str]) -> Result<Caller, TokenError> {
    if !is_plain(name) {
        return Err(TokenError::Malformed);
    }
    let mut permissions: Vec<Permission> = words.iter().filter_map(|word| permission_type.permission(word)).collect();
    permissions.sort_unstable();
    permissions.dedup();
    Ok(Caller { name: name.into(), through: None, permission_type, permissions, origin: Origin::default() })
}

/// A name that can be shown and logged as it is: nothing in it moves the cursor or turns the direction of writing.
fn is_plain(name: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let odd = |c: char| c.is_control() || turns(c) || c == '\u{feff}';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.trim() == name && !name.chars().any(odd)
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Unique).map(Self)
    }
}

/// Reads an object in which no name stands twice: two readers might each believe another one.
struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands twice"));
            }
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        serde_json::from_str(text).unwrap()
    }

    const NAMES: PermissionClaims<'static> = PermissionClaims { roles: "roles", scopes: "scp", always_roles: true };

    #[test]
    fn a_claim_stands_once() {
        assert!(serde_json::from_str::<Claims>(r#"{"a":1,"b":2,"a":1}"#).is_err());
        assert!(serde_json::from_str::<Claims>("[1]").is_err());
    }

    #[test]
    fn claims_inside_of_claims() {
        let claims = claims(r#"{"/a":["flat"],"a":{"b/c":{"roles":["deep"]}},"x":["top"]}"#);
        assert_eq!(claims.texts("/a/b~1c/roles"), Ok(Some(vec!["deep"])));
        assert_eq!(claims.texts("/x"), Ok(Some(vec!["top"])));
        assert_eq!(claims.texts("/x/0/y"), Ok(None));
        assert_eq!(claims.texts("a"), Err(TokenError::Malformed));
    }

    #[test]
    fn applications_and_people() {
        let read = |text: &str| claims(text).caller(NAMES);
        let app = read(r#"{"azp":"soar","roles":["Machine.Isolate","Machine.Read","x"]}"#).unwrap();
        let isolate = vec![Permission::MachineIsolate];
        let name = "soar".to_string();
        let (permission_type, origin) = (PermissionType::Application, Origin::default());
        let through = None;
        assert_eq!(
            app,
            Caller { name, through, permission_type, permissions: isolate.clone(), origin: origin.clone() }
        );
        for scopes in [r#""openid Machine.Isolate  Machine.Read.All""#, r#"["Machine.Isolate"]"#] {
            let text = format!(r#"{{"upn":"ada@example.org","azp":"soar","roles":["Machine.Scan"],"scp":{scopes}}}"#);
            let (name, permission_type) = ("ada@example.org".to_string(), PermissionType::Delegated);
            assert_eq!(
                read(&text).unwrap(),
                Caller {
                    name,
                    through: Some("soar".into()),
                    permission_type,
                    permissions: isolate.clone(),
                    origin: origin.clone()
                }
            );
        }
        for text in [
            r#"{"roles":[]}"#,
            r#"{"azp":"soar"}"#,
            r#"{"azp":"soar","roles":"Machine.Isolate"}"#,
            r#"{"azp":1,"roles":[]}"#,
            r#"{"azp":"soar","scp":"Machine.Isolate"}"#,
            r#"{"azp":"soar","scp":7,"upn":"ada"}"#,
            r#"{"azp":"soar","scp":"x","upn":""}"#,
            r#"{"azp":"soar","scp":"x","upn":"a\u202eb"}"#,
            r#"{"azp":"soar","scp":"x","upn":"3d5a9c1e-0000-4000-8000-2b7c1f0a9e44"}"#,
            r#"{"azp":"a\nb","roles":[]}"#,
            &format!(r#"{{"azp":"{}","roles":[]}}"#, "x".repeat(257)),
        ] {
            assert_eq!(read(text), Err(TokenError::Malformed), "{text}");
        }
        let person = r#"{"azp":"soar","roles":[],"preferred_username":"ada"}"#;
        assert_eq!(read(person), Err(TokenError::Person));
        assert!(read(r#"{"azp":"soar","roles":[],"preferred_username":"service-account-soar"}"#).is_ok());
    }
}
