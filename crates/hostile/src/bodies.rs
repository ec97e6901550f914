//! Request bodies of Defender's API. Whatever is accepted is within its limits, and what is not is told why.

use protocol::defender::request::{
    AskedCommand, BodyError, EXTERNAL_ID_BYTES_MAX, PARAM_BYTES_MAX, cancel, comment_only, isolate, live_response,
};

/// Every reader reads it.
pub(crate) fn check(bytes: &[u8]) {
    let asked = [isolate(bytes), comment_only(bytes), live_response(bytes).map(|(asked, _)| asked)];
    for asked in &asked {
        match asked {
            Ok(asked) => {
                assert!(!asked.comment.trim().is_empty());
                assert!(asked.external_id.as_ref().is_none_or(|id| id.len() <= EXTERNAL_ID_BYTES_MAX));
            }
            Err(e) => assert_says_why(e),
        }
    }
    // A body that isolates also releases, and its comment would do for a cancel.
    assert!(asked[0].is_err() || asked[0] == asked[1]);
    if let Ok(asked) = &asked[1] {
        assert_eq!(cancel(bytes), Ok(Some(asked.comment.clone())));
    }
    if let Ok((_, commands)) = live_response(bytes) {
        assert!(!commands.is_empty());
        for command in commands {
            let (first, second) = match command {
                AskedCommand::PutFile(name) | AskedCommand::GetFile(name) => (name, None),
                AskedCommand::RunScript(name, args) => (name, args),
            };
            assert!(!first.is_empty());
            for text in [Some(first), second].into_iter().flatten() {
                assert!(text.len() <= PARAM_BYTES_MAX && !text.contains('\0'), "{} bytes", text.len());
            }
        }
    }
}

fn assert_says_why(e: &BodyError) {
    assert!(!e.to_string().is_empty());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let commands = r#"{"Comment":"why","ExternalId":"case 7","Commands":[
        {"type":"PutFile","params":[{"key":"FileName","value":"a.bin"}]},
        {"type":"RunScript","params":[{"key":"ScriptName","value":"s.sh"},{"key":"Args","value":"-x 'y z'"}]},
        {"type":"GetFile","params":[{"key":"Path","value":"/etc/hosts"}]}]}"#;
    let bodies = [
        "",
        "{}",
        r#"{"Comment":"why","IsolationType":"Full"}"#,
        r#"{"Comment":"why","IsolationType":"Selective","Extra":[[[{}]]]}"#,
        r#"{"Comment":null,"Comment":"a\ud800\u0000b"}"#,
        "\u{feff}{\"Comment\":\"why\"}",
        commands,
    ];
    let long = "x".repeat(PARAM_BYTES_MAX + 1);
    let long = [
        format!(r#"{{"Comment":"{long}","ExternalId":"{}"}}"#, "x".repeat(EXTERNAL_ID_BYTES_MAX + 1)),
        format!(
            r#"{{"Comment":"why","Commands":[{{"type":"GetFile","params":[{{"key":"Path","value":"{long}"}}]}}]}}"#
        ),
    ];
    bodies.iter().copied().chain(long.iter().map(String::as_str)).map(|body| body.as_bytes().to_vec()).collect()
}
