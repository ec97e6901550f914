//! The Machine entity, with the keys seen in recorded responses. Keys that clients index without looking (`aadDeviceId`)
//! are always present.

use super::time;
use domain::machine::Machine;
use serde::{Deserialize, Serialize};

/// The entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
    /// Not told to us.
    pub os_processor: Option<String>,
    /// The distribution and its version.
    pub version: String,
    /// The address it last connected from.
    pub last_ip_address: Option<String>,
    /// Not known to us.
    pub last_external_ip_address: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// Not told to us.
    pub os_build: Option<i64>,
    /// Active or Inactive.
    pub health_status: String,
    /// Not judged by us.
    pub device_value: String,
    /// Not used by us.
    pub rbac_group_id: i64,
    /// Not used by us.
    pub rbac_group_name: Option<String>,
    /// Not judged by us.
    pub risk_score: String,
    /// Not judged by us.
    pub exposure_level: String,
    /// Always false.
    pub is_aad_joined: bool,
    /// Always null: were it given, it would have to work as an id.
    pub aad_device_id: Option<String>,
    /// Its tags.
    pub machine_tags: Vec<String>,
    /// Always Unknown.
    pub defender_av_status: String,
    /// Onboarded.
    pub onboarding_status: String,
    /// Not told to us.
    pub os_architecture: Option<String>,
    /// Always Unknown.
    pub managed_by: String,
    /// The address it last connected from, if it has.
    pub ip_addresses: Vec<MachineAddress>,
    /// Always null.
    pub vm_metadata: Option<VmMetadata>,
}

/// An address of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MachineAddress {
    /// The address.
    pub ip_address: String,
    /// Not told to us.
    pub mac_address: Option<String>,
    /// Always Unknown.
    pub r#type: String,
    /// Always Unknown.
    pub operational_status: String,
}

/// What a cloud says of a machine; nothing that we know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct VmMetadata {
    /// The cloud's id of it.
    pub vm_id: String,
    /// Which cloud.
    pub cloud_provider: String,
    /// The resource.
    pub resource_id: String,
    /// The subscription.
    pub subscription_id: String,
}

/// Somebody who signed in on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogonUser {
    /// The domain and the name.
    pub id: String,
    /// The name.
    pub account_name: String,
    /// The domain.
    pub account_domain: Option<String>,
    /// The first sign-in.
    pub first_seen: String,
    /// The last sign-in.
    pub last_seen: String,
    /// Interactive and others.
    pub logon_types: Option<String>,
    /// Whether it may administer the domain.
    pub is_domain_admin: Option<bool>,
    /// Whether it signed in over the network only.
    pub is_only_network_user: Option<bool>,
}

/// A machine not heard of for longer than this is Inactive, in seconds: Defender's seven days.
pub const INACTIVE_SECONDS: i64 = 7 * 86_400;

/// The health of a machine that is heard of.
pub const ACTIVE: &str = "Active";

/// The health of one that is not.
pub const INACTIVE: &str = "Inactive";

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
            os_processor: None,
            version: machine.told.os_version.clone(),
            last_ip_address: machine.told.last_address.clone(),
            last_external_ip_address: None,
            agent_version: machine.told.agent_version.clone(),
            os_build: None,
            health_status: if active { ACTIVE } else { INACTIVE }.into(),
            device_value: "Normal".into(),
            rbac_group_id: 0,
            rbac_group_name: None,
            risk_score: "None".into(),
            exposure_level: "None".into(),
            is_aad_joined: false,
            aad_device_id: None,
            machine_tags: machine.tags.clone(),
            defender_av_status: "Unknown".into(),
            onboarding_status: "Onboarded".into(),
            os_architecture: None,
            managed_by: "Unknown".into(),
            ip_addresses: machine.told.last_address.as_deref().map(address).into_iter().collect(),
            vm_metadata: None,
        }
    }
}

fn address(address: &str) -> MachineAddress {
    let unknown = || "Unknown".to_string();
    let (ip_address, mac_address) = (address.to_string(), None);
    MachineAddress { ip_address, mac_address, r#type: unknown(), operational_status: unknown() }
}
