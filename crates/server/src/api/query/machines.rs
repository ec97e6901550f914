//! The properties of a Machine, in the order in which they are shown.

use super::{Meaning, Property, Scalar};
use crate::actions::{MachineField, Value};
use domain::time::Timestamp;
use protocol::defender::machine::{ACTIVE, INACTIVE, INACTIVE_SECONDS};

/// The properties, as they are at `now`.
pub(in crate::api) fn properties(now: Timestamp) -> Vec<Property<MachineField>> {
    use MachineField as F;
    let field = |name, field| Property::new(name, Meaning::Field(field));
    let constant = |name, value| Property::new(name, Meaning::Constant(value));
    let text = |text| Some(Scalar::Text(text));
    let active = F::SeenAfter(now.plus_seconds(-INACTIVE_SECONDS));
    let health = [(true, ACTIVE), (false, INACTIVE)].map(|(seen, word)| (Value::Flag(seen), Scalar::Text(word)));
    vec![
        field("id", F::Id),
        field("computerDnsName", F::Name),
        field("firstSeen", F::FirstSeen),
        field("lastSeen", F::LastSeen),
        field("osPlatform", F::OsPlatform),
        constant("osVersion", None),
        constant("osProcessor", None),
        field("version", F::OsVersion),
        field("lastIpAddress", F::LastAddress),
        constant("lastExternalIpAddress", None),
        field("agentVersion", F::AgentVersion),
        constant("osBuild", None),
        Property::new("healthStatus", Meaning::Shown(active, health.to_vec())),
        constant("deviceValue", text("Normal")),
        constant("rbacGroupId", Some(Scalar::Number(0))),
        constant("rbacGroupName", None),
        constant("riskScore", text("None")),
        constant("exposureLevel", text("None")),
        constant("isAadJoined", Some(Scalar::Flag(false))),
        constant("aadDeviceId", None),
        Property::new("machineTags", Meaning::List(F::Tags)),
        constant("defenderAvStatus", text("Unknown")),
        constant("onboardingStatus", text("Onboarded")),
        constant("osArchitecture", None),
        constant("managedBy", text("Unknown")),
        Property::new("ipAddresses", Meaning::Structured),
        constant("vmMetadata", None),
    ]
}
