//! The worlds that exchanges are played in, and who calls.

use super::exchange::{Exchange, replaced};
use super::judge::judge;
use super::wire;
use crate::libraryfiles::upload;
use crate::rig::{APPLICATION, Rig};
use domain::ids::{ActionId, Digest, MachineId};
use domain::kind::Kind;
use domain::permission::PERMISSIONS;
use domain::testimony::{Artifact, Ending, StepReport, StepStatus};
use domain::time::Timestamp;
use serde_json::{Value, json};
use server::config::ListenConfig;
use server::tokens::hash_secret;
use std::net::SocketAddr;
use store::Application;
use tokio::net::TcpListener;

const SECRET: &str = "s3cret+with/odd=chars";
const RESULT: &[u8] = b"{\"script_name\":\"s.sh\",\"exit_code\":0,\"script_output\":\"\",\"script_errors\":\"\"}";

/// A server with something on record, listening.
pub(crate) struct World {
    rig: Rig,
    address: SocketAddr,
    words: Vec<(String, Value)>,
}

impl World {
    /// The world of this name. `conformance/README.md` says what is in each.
    pub(crate) async fn of(name: &str) -> Self {
        let rig = rig(name).await;
        rig.connect(&[Kind::Isolate, Kind::Release, Kind::LiveResponse]).await;
        let action = play(&rig, name).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = rig.router.clone();
        tokio::spawn(async move {
            let config = ListenConfig { plain_http: true, ..ListenConfig::for_testing() };
            server::listen::serve(listener, None, router, &config, std::future::pending()).await.unwrap();
        });
        let base = format!("http://{address}");
        let word = |name: &str, value: String| (format!("{{{name}}}"), Value::from(value));
        let mut words = vec![
            word("machine", rig.machine.to_string()),
            word("MACHINE", rig.machine.to_string().to_uppercase()),
            word("tenant", rig.tenant.0.to_string()),
            word("application", APPLICATION.into()),
            word("secret", "s3cret%2Bwith%2Fodd%3Dchars".into()),
            word("base", base),
        ];
        if let Some(action) = action {
            words.push(word("action", action.to_string()));
            words.push(word("ACTION", action.to_string().to_uppercase()));
        }
        let mut world = Self { rig, address, words };
        if name == "a finished live response" {
            let link = world.link().await;
            world.words.push(word("link", link));
        }
        world
    }

    /// Plays an exchange; why it is not met, if it is not.
    pub(crate) async fn replay(&self, exchange: &Exchange) -> Option<String> {
        let text = |value: &Value| match replaced(value, &self.words) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let request = text(&Value::from(exchange.request.as_str()));
        let mut headers: Vec<(String, String)> =
            exchange.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        if let Some(authorization) = self.authorization(&exchange.caller) {
            headers.push(("Authorization".into(), authorization));
        }
        let reply = wire::send(self.address, &request, &headers, text(&exchange.body).as_bytes()).await;
        let mut expect = exchange.expect.clone();
        expect.json = replaced(&expect.json, &self.words);
        for wanted in expect.headers.values_mut() {
            *wanted = replaced(wanted, &self.words);
        }
        for wanted in expect.text.iter_mut().chain(&mut expect.no_text) {
            *wanted = text(&Value::from(wanted.as_str()));
        }
        judge(&expect, &reply)
    }

    fn authorization(&self, caller: &Value) -> Option<String> {
        let rig = &self.rig;
        let mut claims = rig.claims(&PERMISSIONS.map(|(_, word)| word));
        match caller {
            Value::Array(roles) => {
                let roles: Vec<&str> = roles.iter().map(|role| role.as_str().unwrap()).collect();
                return Some(format!("Bearer {}", rig.token(&roles)));
            }
            Value::Object(changed) => {
                if let Some(header) = changed.get("authorization") {
                    return Some(header.as_str().unwrap().replace("{token}", &rig.all()));
                }
                changed.iter().for_each(|(claim, value)| claims[claim] = value.clone());
            }
            Value::String(word) if word == "nobody" => return None,
            Value::String(word) if word == "expired" => {
                claims["exp"] = (rig.claims(&[])["iat"].as_i64().unwrap() - 3600).into()
            }
            Value::String(word) if word == "everything" => {}
            other => panic!("nobody is called {other}"),
        }
        Some(format!("Bearer {}", rig.sign(&rig.header(), &claims)))
    }

    /// The target of a link to the result of the second command.
    async fn link(&self) -> String {
        let action = self.words.iter().find(|(name, _)| name == "{action}").unwrap().1.as_str().unwrap();
        let path = format!("/api/machineactions/{action}/GetLiveResponseResultDownloadLink(index=1)");
        let url = self.rig.get(&path).await.ok(200)["value"].as_str().unwrap().to_string();
        url.replace(crate::rig::BASE, "")
    }
}

async fn rig(name: &str) -> Rig {
    if name == "few calls left" {
        let limits = server::config::LimitsConfig { per_minute: 1, ..Default::default() };
        let rig = Rig::limited(limits).await;
        rig.get("/api/machines").await.ok(200);
        rig.get("/api/machineactions").await.ok(200);
        return rig;
    }
    Rig::new().await
}

/// What happened before; the action it is about.
async fn play(rig: &Rig, name: &str) -> Option<ActionId> {
    match name {
        "a machine" | "few calls left" => None,
        "two machines of one name" => {
            rig.enrol(MachineId([0x01; 20]), "WEB-03").await;
            None
        }
        "a machine not heard of" => {
            rig.enrol(MachineId([0x01; 20]), "new-01").await;
            None
        }
        "a tagged machine" => {
            let path = format!("/api/machines/{}/tags", rig.machine);
            rig.post(&path, r#"{"Value":"test Tag 2","Action":"Add"}"#).await.ok(200);
            None
        }
        "an application" => {
            let application = Application {
                client_id: APPLICATION.into(),
                name: "soar".into(),
                secret_hash: hash_secret(SECRET, [5; 16]).unwrap(),
                permissions: PERMISSIONS.map(|(permission, _)| permission).to_vec(),
                created_at: Timestamp(0),
            };
            rig.store.put_application(&application, &crate::rig::audited()).await.unwrap();
            None
        }
        "a library file" => {
            upload(rig, "s.sh", b"#!/bin/sh\n", &[("Description", "collects")]).await.ok(200);
            None
        }
        "several actions" => Some(several(rig).await),
        "a pending live response" => {
            upload(rig, "s.sh", b"#!/bin/sh\n", &[]).await.ok(200);
            Some(live_response(rig).await)
        }
        "a finished live response" => {
            upload(rig, "s.sh", b"#!/bin/sh\n", &[]).await.ok(200);
            Some(finished_live_response(rig).await)
        }
        _ => Some(isolation(rig, name).await),
    }
}

/// An isolation in the state that the world's name says.
async fn isolation(rig: &Rig, name: &str) -> ActionId {
    let id = rig.isolate().await;
    let cancel =
        async || rig.post(&format!("/api/machineactions/{id}/cancel"), r#"{"Comment":"by mistake"}"#).await.ok(200);
    let done = StepReport { status: StepStatus::Completed, ..StepReport::created(0) };
    rig.clock.advance(1);
    match name {
        "a pending isolation" => {}
        "a cancelled isolation" => drop(cancel().await),
        "a running isolation" => drop(rig.grant(id).await),
        "an isolation being stopped" => {
            rig.grant(id).await;
            cancel().await;
        }
        "a succeeded isolation" => {
            let epoch = rig.grant(id).await;
            rig.testify(id, epoch, Ending::Finished, vec![done]).await;
        }
        "a failed isolation" => {
            let epoch = rig.grant(id).await;
            rig.testify(id, epoch, Ending::Broke { why: "no nft".into() }, vec![]).await;
        }
        "a stopped isolation" => {
            let epoch = rig.grant(id).await;
            cancel().await;
            rig.testify(id, epoch, Ending::Stopped { began: true }, vec![]).await;
        }
        "an isolation that finished before its cancel arrived" => {
            let epoch = rig.grant(id).await;
            cancel().await;
            rig.testify(id, epoch, Ending::Finished, vec![done]).await;
        }
        "a timed-out isolation" => {
            rig.clock.advance(3 * 86_400 + 14 * 60);
            let now = domain::time::Timestamp(rig.claims(&[])["iat"].as_i64().unwrap() * 10_000_000);
            assert_eq!(rig.actions.expire(now, Timestamp(0), 10).await.unwrap(), 1);
        }
        other => panic!("there is no world called {other:?}"),
    }
    id
}

/// An isolation that was cancelled, one that is pending, a release that is pending; the second is what it is about.
async fn several(rig: &Rig) -> ActionId {
    let first = rig.isolate().await;
    rig.clock.advance(60);
    rig.post(&format!("/api/machineactions/{first}/cancel"), "").await.ok(200);
    rig.clock.advance(60);
    let second = rig.isolate().await;
    rig.clock.advance(60);
    rig.post(&format!("/api/machines/{}/unisolate", rig.machine), r#"{"Comment":"case 812"}"#).await.created();
    second
}

async fn live_response(rig: &Rig) -> ActionId {
    let run = json!({ "type": "RunScript", "params": [
        { "key": "ScriptName", "value": "s.sh" }, { "key": "Args", "value": "--noargs" }] });
    let get = json!({ "type": "GetFile", "params": [{ "key": "Path", "value": "/etc/hosts" }] });
    rig.live_response(&json!([run, get])).await
}

async fn finished_live_response(rig: &Rig) -> ActionId {
    let id = live_response(rig).await;
    rig.clock.advance(1);
    let epoch = rig.grant(id).await;
    let content = |index: u16| if index == 0 { RESULT } else { b"\x1f\x8bpacked" };
    let step = |index: u16, file_name: &str| {
        let (bytes, at) = (content(index), Some(Timestamp::from_seconds(crate::rig::START + 1)));
        let artifact =
            Artifact { sha256: Digest::of(bytes), size_bytes: bytes.len() as u64, file_name: file_name.into() };
        let status = StepStatus::Completed;
        StepReport { status, started_at: at, ended_at: at, artifact: Some(artifact), ..StepReport::created(index) }
    };
    rig.testify(id, epoch, Ending::Finished, vec![step(0, "s.sh.json"), step(1, "hosts.gz")]).await;
    let folder = rig.config.data.artifact_dir();
    std::fs::create_dir_all(&folder).unwrap();
    for index in [0, 1] {
        let name = server::actions::artifact_file_name(id, index, &Digest::of(content(index)));
        std::fs::write(folder.join(name), content(index)).unwrap();
    }
    id
}
