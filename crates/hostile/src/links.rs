//! Signed links. One is good only if it is, field for field, one that was signed, and its time is not over.

use crate::desk::desk;
use crate::dice::Dice;
use domain::ids::{ActionId, Digest};
use domain::time::Timestamp;
use server::links::Link;
use uuid::Uuid;

/// Two links are chosen; the signature of the first, changed or not, is shown with the second.
pub(crate) fn check(bytes: &[u8]) {
    let links = &desk().links;
    let mut dice = Dice::new(bytes);
    let (signed, shown) = (link(&mut dice), link(&mut dice));
    let now = Timestamp(dice.instant(0));
    let right = links.sign(&signed);
    let signature = match dice.below(4) {
        0 => right.clone(),
        1 => right.to_uppercase(),
        2 => String::from_utf8_lossy(dice.rest()).into_owned(),
        _ => {
            let mut other = right.clone();
            other.insert_str(dice.below(right.len()), &String::from_utf8_lossy(dice.rest()));
            other
        }
    };
    let is_right = signature.to_ascii_lowercase() == right && shown == signed;
    assert_eq!(links.is_good(&shown, &signature, now), is_right && now.as_seconds() < shown.expires);
}

fn link(dice: &mut Dice<'_>) -> Link {
    Link {
        action: ActionId(Uuid::from_u128(u128::from(dice.number()))),
        step: u16::from(dice.byte()) << 8 | u16::from(dice.byte()),
        sha256: Digest([dice.byte(); 32]),
        expires: dice.instant(0),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let link = [1, 0, 2, 3, 100];
    let twice = |behind: &[u8]| [&link[..], &link[..], behind].concat();
    vec![
        vec![],
        twice(&[50, 0]),
        twice(&[150, 0]),
        twice(&[50, 1]),
        twice(&[50, 2, b'a', b'b']),
        twice(&[50, 3, 0, b' ']),
        [&link[..], &[1, 0, 3, 3, 100, 50, 0]].concat(),
        [&link[..], &[1, 2, 0, 3, 220, 50, 0]].concat(),
    ]
}
