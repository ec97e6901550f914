//! Texts shown as tokens: any text, and real tokens with parts changed. One is taken only if every byte that its
//! signature speaks of is a byte that we, or an issuer that we take, have signed, and then it names whom it was signed
//! for.

use crate::desk::{START_SECONDS, block_on, desk};
use crate::dice::Dice;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::Timestamp;

/// The first byte says what is changed.
pub(crate) fn check(bytes: &[u8]) {
    let desk = desk();
    let mut dice = Dice::new(bytes);
    let token = made(&mut dice);
    let now = Timestamp::from_seconds(START_SECONDS);
    let Ok(verified) = block_on(desk.verifier.verify(&token, now)) else { return };
    let ours = [&desk.all, &desk.reader, &desk.foreign].into_iter().find(|ours| signed(ours) == signed(&token));
    let ours = ours.unwrap_or_else(|| panic!("we never signed this: {token}"));
    assert_eq!(block_on(desk.verifier.verify(ours, now)).expect("ours").caller, verified.caller);
    let later = Timestamp::from_seconds(START_SECONDS + 2_000_000_000);
    assert!(block_on(desk.verifier.verify(&token, later)).is_err(), "a token without end");
}

/// What a signature speaks of.
fn signed(token: &str) -> Option<&str> {
    token.rsplit_once('.').map(|(signed, _)| signed)
}

fn made(dice: &mut Dice<'_>) -> String {
    let desk = desk();
    let ours = dice.of(&[&desk.all, &desk.reader, &desk.foreign]);
    let parts: Vec<&str> = ours.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match dice.below(8) {
        0 => text(dice.rest()),
        1 => {
            let at = (usize::from(dice.byte()) << 8 | usize::from(dice.byte())) % ours.len();
            let (before, behind) = ours.split_at(at);
            let cut = usize::from(dice.byte() % 4).min(behind.len());
            format!("{before}{}{}", text(dice.rest()), &behind[cut..])
        }
        2 => format!("{}.{claims}.{signature}", encoded(dice.rest())),
        3 => format!("{header}.{}.{signature}", encoded(dice.rest())),
        4 => format!("{header}.{claims}.{}", encoded(dice.rest())),
        5 => {
            // What it says, changed in one place.
            let mut said = URL_SAFE_NO_PAD.decode(claims).expect("ours");
            let at = (usize::from(dice.byte()) << 8 | usize::from(dice.byte())) % said.len();
            let cut = usize::from(dice.byte()).min(said.len() - at);
            said.splice(at..at + cut, dice.rest().iter().copied());
            format!("{header}.{}.{signature}", encoded(&said))
        }
        6 => {
            let own = dice.some();
            format!("{}.{}.{}", encoded(own), encoded(dice.some()), encoded(dice.rest()))
        }
        _ => {
            // The other token's signature, or its claims.
            let other: Vec<&str> = desk.reader.split('.').collect();
            match dice.below(3) {
                0 => format!("{header}.{claims}.{}", other[2]),
                1 => format!("{header}.{}.{signature}", other[1]),
                _ => format!("{ours}.{}", text(dice.rest())),
            }
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let header = |algorithm: &str| format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"x"}}"#);
    let claims =
        r#"{"aud":"https://api.securitycenter.microsoft.com","iss":"x","exp":9999999999,"roles":["Machine.Read.All"]}"#;
    let with = |what: &[u8], rest: &str| [what, rest.as_bytes()].concat();
    vec![
        vec![],
        with(&[0, 0], "a.b.c"),
        vec![0, 1, 0, 40, 0],
        vec![0, 1, 0, 40, 1, b'A'],
        with(&[0, 2], &header("none")),
        with(&[0, 2], &header("HS256")),
        with(&[1, 2], &header("ES256")),
        with(&[0, 2], r#"{"alg":"ES256","jku":"https://x","crit":["exp"],"jwk":{"kty":"EC"}}"#),
        with(&[0, 3], claims),
        vec![0, 4, 0, 0, 0],
        vec![0, 5, 0, 10, 1, b'x'],
        with(&[1, 5, 0, 250, 0], " "),
        vec![0, 5, 1, 20, 1, b'9'],
        [&[0, 6, 45][..], header("none").as_bytes(), &[104], claims.as_bytes()].concat(),
        vec![2, 4, 0, 0, 0],
        with(&[2, 2], &header("none")),
        with(&[2, 3], claims),
        vec![2, 5, 0, 10, 1, b'x'],
        with(&[2, 5, 0, 120, 0], " "),
        vec![2, 7, 0],
        vec![0, 7, 0],
        vec![0, 7, 1],
        vec![0, 7, 2, b'x'],
    ]
}
