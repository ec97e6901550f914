//! Texts that should be ids, digests or instants. One that is taken is shown in one spelling, and that one is taken as
//! the same again.

use domain::ids::{ActionId, Digest, MachineId};
use domain::time::Timestamp;
use protocol::defender::time;

/// Every parser reads it.
pub(crate) fn check(bytes: &[u8]) {
    if let Some(ticks) = bytes.first_chunk::<8>() {
        assert_can_be_read(Timestamp(i64::from_le_bytes(*ticks)));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(id) = ActionId::parse(text) {
        assert_eq!(ActionId::parse(&id.to_string()), Some(id));
        assert!(id.to_string().bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{id} names a file");
    }
    if let Some(id) = MachineId::parse(text) {
        assert_eq!(MachineId::parse(&id.to_string()), Some(id));
        assert_eq!(text.len(), id.to_string().len());
    }
    if let Some(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
    }
    if let Some(at) = time::parse(text) {
        assert_can_be_read(at);
    }
}

/// Clients' own dates go from year 1 to 9999; one instant that they cannot read spoils the whole list it stands in.
fn assert_can_be_read(at: Timestamp) {
    let shown = time::show(at);
    let year = shown.split_once('-').map(|(year, _)| year).filter(|year| year.len() == 4);
    assert!(year.is_some_and(|year| year.parse::<u16>().is_ok_and(|year| year >= 1)), "{at:?}: {shown}");
    assert!(shown.ends_with('Z'), "{shown}");
    if let Some(read) = time::parse(&shown) {
        assert_eq!(time::show(read), shown);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "01890A5DAC96774BBCCEB302099A8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbb",
        "2025-03-24T08:11:54.0392813Z",
        "2025-03-24 08:11:54+01:00",
        "9999-12-31T23:59:59.9999999Z",
        "-009999-01-01T00:00:00Z",
    ];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.extend([0, -1, i64::MIN, i64::MAX].map(|ticks: i64| ticks.to_le_bytes().to_vec()));
    seeds
}
