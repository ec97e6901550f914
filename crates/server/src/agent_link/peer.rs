//! Who is on the other end, read from the client certificate that TLS has verified.

use crate::actions::Peer;
use crate::listen::PeerCertificate;
use domain::ids::MachineId;
use protocol::agent::MACHINE_URN;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The peer that a verified certificate names; `None` if it is not a machine's.
pub(super) fn peer(certificate: &PeerCertificate) -> Option<Peer> {
    let (_, certificate) = X509Certificate::from_der(&certificate.0).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => parse(uri),
        _ => None,
    })
}

fn parse(uri: &str) -> Option<Peer> {
    let (machine, incarnation) = uri.strip_prefix(MACHINE_URN)?.split_once(':')?;
    Some(Peer { machine: MachineId::parse(machine)?, incarnation: incarnation.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machines_name_is_a_peer() {
        let id = "ab".repeat(20);
        let expected = Peer { machine: MachineId([0xab; 20]), incarnation: 3 };
        assert_eq!(parse(&format!("{MACHINE_URN}{id}:3")), Some(expected));
        for bad in ["", "urn:other:x:1", &format!("{MACHINE_URN}{id}"), &format!("{MACHINE_URN}{id}:x"), &id] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
