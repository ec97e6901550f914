use super::*;
use domain::Digest;
use domain::action::Body;
use domain::command::{Command, LibraryRef};
use domain::kind::Scope;
use domain::testimony::{Artifact, Ending, Fact, StepReport, StepStatus};
use proptest::prelude::*;

fn claim() -> ToServer {
    let action = ActionId::from_parts(1, [2; 10]);
    let journal = JournalId(ActionId::from_parts(3, [4; 10]).0);
    ToServer::Claim { session: Epoch(300), action, nonce: Nonce([5; 16]), journal }
}

fn testimony() -> Testimony {
    let artifact = Artifact { sha256: Digest([7; 32]), size_bytes: 400, file_name: "x.gz".into() };
    let step = StepReport {
        index: 0,
        status: StepStatus::Completed,
        started_at: Some(Timestamp(1)),
        ended_at: None,
        errors: vec!["e".into()],
        artifact: Some(artifact),
    };
    Testimony {
        epoch: Epoch(1),
        journal: JournalId(ActionId::from_parts(3, [4; 10]).0),
        sequence: 12,
        ending: Ending::Broke { why: "w".into() },
        steps: vec![step],
        residue: vec!["r".into()],
        facts: vec![Fact { sequence: 1, at: Timestamp(2), what: "f".into() }],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of version 1. If this fails, an old agent no longer understands a new server: raise the version, or undo.
#[test]
fn the_bytes_of_version_one_stand() {
    let library = LibraryRef { name: "n".into(), sha256: Digest([1; 32]), size_bytes: 9 };
    let bodies = [
        Body::Isolate { scope: Scope::Full },
        Body::Release,
        Body::LiveResponse {
            commands: vec![
                Command::PutFile { file: library.clone() },
                Command::RunScript { script: library, args: Some("a".into()) },
                Command::GetFile { path: "/p".into() },
            ],
        },
    ];
    let bodies: Vec<String> = bodies.iter().map(|body| hex(&body_bytes(body))).collect();
    let ones = "01".repeat(32);
    assert_eq!(bodies, ["0000", "01", &format!("020300016e{ones}0901016e{ones}0901016102022f70")]);
    let claim = hex(&encode(&claim()).expect("encodes"));
    assert_eq!(
        claim,
        "0101ac021000000000000172028202020202020202050505050505050505050505050505051000000000000374048404040404040404"
    );
    assert_eq!(hex(&encode(&ToAgent::Newest { session: Epoch(300) }).expect("encodes")), "0106ac02");
    let action = ActionId::from_parts(1, [2; 10]);
    let whole = encode(&ToServer::Final { action, testimony: Box::new(testimony()) }).expect("encodes");
    assert_eq!(Digest::of(&whole).to_string(), "7eb6d17901a35771538bba203e7fa985f7a11ce92a4de534591e12d4fa9dff51");
}

#[test]
fn a_message_reads_back_and_nothing_else_does() {
    let frame = encode(&claim()).expect("encodes");
    assert_eq!(decode::<ToServer>(&frame), Ok(claim()));
    assert_eq!(decode::<ToServer>(&[]), Err(FrameError::Version(None)));
    assert_eq!(decode::<ToServer>(&[9, 1, 2]), Err(FrameError::Version(Some(9))));
    assert!(matches!(decode::<ToServer>(&frame[..frame.len() - 1]), Err(FrameError::Malformed(_))));
    let mut longer = frame;
    longer.push(0);
    assert!(matches!(decode::<ToServer>(&longer), Err(FrameError::Malformed(_))));
    let huge = vec![VERSION; FRAME_BYTES_MAX + 1];
    assert_eq!(decode::<ToServer>(&huge), Err(FrameError::TooLong(FRAME_BYTES_MAX + 1)));
}

#[test]
fn a_body_that_was_not_signed_is_refused() {
    let body = body_bytes(&Body::Release);
    let core = GrantCore {
        machine: MachineId([1; 20]),
        incarnation: 1,
        action: ActionId::from_parts(1, [2; 10]),
        epoch: Epoch(1),
        nonce: Nonce([0; 16]),
        body_sha256: Digest::of(&body),
        key_id: "k".into(),
    };
    let mut grant = SignedGrant { core, body, signature: vec![] };
    assert_eq!(grant.checked_body(), Ok(Body::Release));
    grant.body = body_bytes(&Body::Isolate { scope: Scope::Full });
    assert!(grant.checked_body().is_err());
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused_and_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        if let Some(first) = bytes.first_mut() { *first = VERSION }
        let _ = decode::<ToServer>(&bytes);
        let _ = decode::<ToAgent>(&bytes);
    }
}
