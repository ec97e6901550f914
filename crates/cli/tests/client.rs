//! The client commands against a server that says what it is told to: the real binary, its exit codes and what it
//! prints.

#[path = "client/cancels.rs"]
mod cancels;
#[path = "client/fake.rs"]
mod fake;
#[path = "client/printing.rs"]
mod printing;
#[path = "client/requests.rs"]
mod requests;

use fake::{Fake, ID, Said, action};
use serde_json::json;
use std::time::Duration;

const TOKEN: &str = "POST /tenant/oauth2/v2.0/token";

fn show_route() -> String {
    format!("GET /api/machineactions/{ID}")
}

#[test]
fn a_refused_token_is_renewed_once() {
    let fake = Fake::start();
    fake.on(&show_route(), Said::error(401, "Unauthorized", "expired"))
        .on(&show_route(), Said::json(200, &action("Isolate", "Pending")));
    let ran = fake.run(&["actions", "show", ID]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let tokens: Vec<_> = fake.asked(&show_route()).into_iter().map(|asked| asked.authorization).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);
}

#[test]
fn a_caller_refused_twice_is_not_signed_in() {
    let fake = Fake::start();
    fake.on(&show_route(), Said::error(401, "Unauthorized", "no"));
    let ran = fake.run(&["actions", "show", ID]);
    assert_eq!((ran.code, fake.asked(TOKEN).len(), fake.asked(&show_route()).len()), (6, 2, 2), "{ran:?}");
    assert!(ran.err.contains("no (Unauthorized, HTTP 401, id t-1)"), "{ran:?}");
}

#[test]
fn a_wrong_secret_is_not_signed_in() {
    let fake = Fake::start();
    let refusal = json!({ "error": "invalid_client", "error_description": "AADSTS7000215: wrong secret" });
    let route = "POST /other/oauth2/v2.0/token";
    fake.on(route, Said::json(401, &refusal));
    let ran = fake.run(&["actions", "list", "--tenant", "other"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.err.contains("AADSTS7000215: wrong secret (invalid_client, HTTP 401)"), "{ran:?}");
    let body = &fake.asked(route)[0].body;
    assert!(body.contains("grant_type=client_credentials&client_id=app&client_secret=s%26cret%2B&scope=http%3A%2F%2F"));
    assert!(body.ends_with("%2F.default"), "{body}");
}

#[test]
fn a_token_from_elsewhere_is_used_as_it_is() {
    let fake = Fake::start();
    fake.on(&show_route(), Said::error(401, "Unauthorized", "expired"));
    let output = fake.command(&["actions", "show", ID]).env("COUNTERMAND_TOKEN", "given").output().unwrap();
    assert_eq!(fake::Ran::of(output).code, 6);
    assert_eq!(fake.asked(&show_route())[0].authorization, "Bearer given");
    assert_eq!((fake.asked(&show_route()).len(), fake.asked(TOKEN).len()), (1, 0));
}

#[test]
fn the_secret_is_taken_from_a_file_and_never_from_the_arguments() {
    let fake = Fake::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "from-file\n").unwrap();
    let ran = fake.run(&["token", "--client-secret-file", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "token-1\n"));
    assert!(fake.asked(TOKEN)[0].body.contains("client_secret=from-file&"));
    assert_eq!(fake.run(&["token", "--client-secret", "x"]).code, 2);
}

#[test]
fn a_server_with_too_many_requests_is_waited_for() {
    let fake = Fake::start();
    fake.on(&show_route(), Said::error(429, "TooManyRequests", "slow down").with("Retry-After", "1"))
        .on(&show_route(), Said::json(200, &action("Isolate", "Pending")));
    let ran = fake.run(&["actions", "show", ID]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("waiting 1 s"), "{ran:?}");
    let asked = fake.asked(&show_route());
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
}

#[test]
fn a_server_that_asks_for_too_long_a_wait_is_not_waited_for() {
    let fake = Fake::start();
    fake.on(&show_route(), Said::error(429, "TooManyRequests", "slow down").with("Retry-After", "3600"));
    let ran = fake.run(&["actions", "show", ID]);
    assert_eq!((ran.code, fake.asked(&show_route()).len()), (1, 1), "{ran:?}");
}

#[test]
fn what_is_not_found_or_not_permitted_has_its_own_code() {
    let fake = Fake::start();
    assert_eq!(fake.run(&["actions", "show", ID]).code, 5);
    fake.on(&show_route(), Said::error(403, "Forbidden", "no"));
    assert_eq!(fake.run(&["actions", "show", ID]).code, 6);
    fake.on("GET /api/machines", Said::json(200, &fake::list(&[])));
    assert_eq!(fake.run(&["machines", "show", "nobody"]).code, 5);
}

#[test]
fn wrong_settings_are_found_before_anything_is_sent() {
    let fake = Fake::start();
    let ran = fake.run(&["actions", "list", "--url", "http://control.example"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("allowed for loopback addresses only; use https"), "{ran:?}");
    let ran = fake.run(&["actions", "list", "--tenant", ""]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("set --tenant or COUNTERMAND_TENANT"), "{ran:?}");
    assert_eq!(fake.run(&["actions", "list", "--status", "Isolated"]).code, 2);
    assert_eq!(fake.run(&["isolate", "web-03"]).code, 2);
    let empty = tempfile::NamedTempFile::new().unwrap();
    let ran = fake.run(&["token", "--url", "https://localhost", "--ca-file", empty.path().to_str().unwrap()]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no certificate in it"), "{ran:?}");
    assert!(fake.asked(TOKEN).is_empty());
}

#[test]
fn a_server_that_is_not_there_is_no_confirmation() {
    let fake = Fake::start();
    // The discard port: nothing listens there.
    let ran = fake.run(&["actions", "cancel", ID, "--url", "http://127.0.0.1:9"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("Not cancelled - no answer from http://127.0.0.1:9"), "{ran:?}");
}

#[test]
fn help_tells_the_exit_codes_and_gives_examples() {
    let fake = Fake::start();
    assert!(fake.run(&["--help"]).out.contains(cli::exit::EXIT_CODES));
    for command in [
        &["machines", "list"][..],
        &["machines", "show"],
        &["actions", "list"],
        &["actions", "show"],
        &["actions", "cancel"],
        &["actions", "watch"],
        &["actions", "history"],
        &["isolate"],
        &["release"],
        &["live-response"],
        &["library", "upload"],
        &["library", "list"],
        &["library", "delete"],
        &["token"],
    ] {
        let ran = fake.run(&[command, &["--help"]].concat());
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains("Example"), "{ran:?}");
    }
}
