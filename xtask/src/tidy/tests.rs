//! Each rule bites on bad text and lets good text pass.

use super::*;

fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned() }
}

fn hits(rule: fn(&TextFile) -> Vec<String>, path: &str, text: &str) -> usize {
    rule(&file(path, text)).len()
}

#[test]
fn long_files_need_a_reason() {
    let long = "x\n".repeat(LINES_MAX + 1);
    assert_eq!(hits(length, "crates/a/src/b.rs", &long), 1);
    let reasoned = format!("//! B.\n//! This file is long because it is a table.\n{long}");
    assert_eq!(hits(length, "crates/a/src/b.rs", &reasoned), 0);
    let elsewhere = format!("{long}// This file is long because nobody reads the end.\n");
    assert_eq!(hits(length, "crates/a/src/b.rs", &elsewhere), 1);
    assert_eq!(hits(length, "crates/a/src/b.rs", &"x\n".repeat(LINES_MAX)), 0);
    assert_eq!(hits(length, "docs/guide.md", &long), 0);
}

#[test]
fn one_l_is_found_outside_recorded_exchanges() {
    let wrong = concat!("it was Cance", "led while cance", "ling\nfine\nis_cance", "led");
    assert_eq!(hits(spelling, "docs/a.md", wrong), 2);
    assert_eq!(hits(spelling, "conformance/cancel/a.json", wrong), 0);
    assert_eq!(hits(spelling, "docs/a.md", "cancelled, cancelling, cancellation, cancel"), 0);
}

#[test]
fn unfinished_marks_are_found() {
    for mark in [concat!("// FIX", "ME: later"), concat!("// X", "XX"), concat!("    to", "do!()")] {
        assert_eq!(hits(unfinished, "a.rs", mark), 1, "{mark}");
    }
    assert_eq!(hits(unfinished, "a.rs", concat!("let y = db", "g!(x);")), 1);
    assert_eq!(hits(unfinished, "a.sh", concat!("mktemp /tmp/aX", "XXXXX")), 0);
}

#[test]
fn names_that_say_nothing_are_found() {
    assert_eq!(hits(module_name, "crates/a/src/utils.rs", ""), 1);
    assert_eq!(hits(module_name, "crates/a/src/common/mod.rs", ""), 1);
    assert_eq!(hits(module_name, "crates/a/src/session_manager.rs", ""), 1);
    assert_eq!(hits(module_name, "crates/a/src/utility.rs", ""), 0);
    let member = |name: &str| Member {
        name: name.to_owned(),
        folder: String::new(),
        uses: Vec::new(),
        uses_in_tests: Vec::new(),
    };
    assert_eq!(crate_names(&[member("helper"), member("domain")]).len(), 1);
}

#[test]
fn unsafe_code_has_one_place() {
    let code = concat!("fn f() { un", "safe { g() } }");
    assert_eq!(hits(unsafe_place, "crates/server/src/a.rs", code), 1);
    assert_eq!(hits(unsafe_place, "crates/agent/src/host/cgroups.rs", code), 0);
    assert_eq!(hits(unsafe_place, "crates/server/src/a.rs", concat!("// no un", "safe here")), 0);
    assert_eq!(hits(unsafe_place, "crates/server/src/a.rs", concat!("un", "safe_code")), 0);
}

#[test]
fn paths_of_one_machine_are_found() {
    assert_eq!(hits(foreign_paths, "a.md", concat!("see /wo", "rk/main")), 1);
    assert_eq!(hits(foreign_paths, "a.md", concat!("see `/ro", "ot/x`, ../sha", "red")), 1);
    assert_eq!(hits(foreign_paths, "a.md", concat!("src/at/wo", "rk/main")), 0);
}

#[test]
fn sleeping_tests_are_found() {
    let code = concat!("std::thread::sl", "eep(d);\ntokio::time::sl", "eep(d).await;");
    assert_eq!(hits(sleeping_tests, "crates/a/tests/b.rs", code), 2);
    assert_eq!(hits(sleeping_tests, "crates/a/src/b.rs", code), 0);
}

#[test]
fn decision_numbers_are_unique_and_well_formed() {
    let files = [
        file("docs/decisions/0001-one.md", ""),
        file("docs/decisions/0001-two.md", ""),
        file("docs/decisions/2-three.md", ""),
        file("docs/decisions/0004-four.md", ""),
        file("docs/decisions/README.md", ""),
    ];
    assert_eq!(decision_numbers(&files).len(), 2);
}

#[test]
fn crates_say_what_they_are() {
    let member =
        Member { name: "a".to_owned(), folder: "crates/a".to_owned(), uses: Vec::new(), uses_in_tests: Vec::new() };
    let bad = file("crates/a/src/lib.rs", "mod x;");
    let good = file("crates/a/src/lib.rs", "//! The letter.\nmod x;");
    assert_eq!(crate_docs(std::slice::from_ref(&member), &[bad]).len(), 1);
    assert_eq!(crate_docs(&[member], &[good]).len(), 0);
}
