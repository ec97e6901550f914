//! The Machine entity, with the keys seen in recorded responses. Keys that clients index without looking (`aadDeviceId`)
//! are always present.

use super::time;
use domain::machine::Machine;
use serde::{Deserialize, Serialize};

/// The entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineEntity {
    /// 40 hex digits.
    pub id: String,
    /// Its name.
    pub computer_dns_name: String,
    /// When it was enrolled.
    pub first_seen: String,
    /// The last word from it.
    pub last_seen: String,
    /// Linux.
    pub os_platform: String,
    /// Always null, as recorded.
    pub os_version: Option<String>,
    /// The distribution and its version.
    pub version: String,
    /// The address it last connected from.
    pub last_ip_address: Option<String>,
    /// Not known to us.
    pub last_external_ip_address: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// Active or Inactive.
    pub health_status: String,
    /// Onboarded.
    pub onboarding_status: String,
    /// Not used by us.
    pub rbac_group_id: i64,
    /// Not used by us.
    pub rbac_group_name: Option<String>,
    /// Not judged by us.
    pub risk_score: String,
    /// Not judged by us.
    pub exposure_level: String,
    /// Not judged by us.
    pub device_value: String,
    /// Always null: were it given, it would have to work as an id.
    pub aad_device_id: Option<String>,
    /// Always false.
    pub is_aad_joined: bool,
    /// Its tags.
    pub machine_tags: Vec<String>,
}

/// A machine not heard of for longer than this is Inactive, in seconds: Defender's seven days.
const INACTIVE_SECONDS: i64 = 7 * 86_400;

impl MachineEntity {
    /// The entity of a machine, at `now`.
    pub fn of(machine: &Machine, now: domain::Timestamp) -> Self {
        let active = machine.last_seen.plus_seconds(INACTIVE_SECONDS) > now;
        Self {
            id: machine.id.to_string(),
            computer_dns_name: machine.name.clone(),
            first_seen: time::show(machine.first_seen),
            last_seen: time::show(machine.last_seen),
            os_platform: machine.told.os_platform.clone(),
            os_version: None,
            version: machine.told.os_version.clone(),
            last_ip_address: machine.told.last_address.clone(),
            last_external_ip_address: None,
            agent_version: machine.told.agent_version.clone(),
            health_status: if active { "Active" } else { "Inactive" }.into(),
            onboarding_status: "Onboarded".into(),
            rbac_group_id: 0,
            rbac_group_name: None,
            risk_score: "None".into(),
            exposure_level: "None".into(),
            device_value: "Normal".into(),
            aad_device_id: None,
            is_aad_joined: false,
            machine_tags: vec![],
        }
    }
}
