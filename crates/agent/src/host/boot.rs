//! Which boot this is.

use super::HostError;

/// Where the kernel says it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's name for this boot, a UUID: another after every start of the machine, the same for its whole run.
pub(super) fn boot_id() -> Result<String, HostError> {
    std::fs::read_to_string(BOOT_ID)
        .map(|text| text.trim().to_owned())
        .map_err(|source| HostError::Io { what: format!("cannot read {BOOT_ID}"), source })
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_a_uuid_and_stays_the_same() {
        let id = super::boot_id().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(id, super::boot_id().unwrap());
    }
}
