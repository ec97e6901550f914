//! Reading Rust source text far enough to know which paths it names.
//!
//! Not a parser: comments and literals are dropped, the rest is cut into words, and every
//! `a::b::{c, d::e}` is spelled out from the crate's root. Test modules at the bottom of a file
//! are left out: a test may reach for a fake that the code under it may not name.

/// Every path the text names, each from the crate's root (`crate::link::Link`) or from another
/// crate's name (`axum::Router`). `module` is where the text stands, e.g. `["executors", "scan"]`.
pub(crate) fn paths(text: &str, module: &[String]) -> Vec<String> {
    let code = without_comments_and_literals(text);
    let words = words(without_test_module(&code));
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let begins_use = words[at] == "use";
        if begins_use {
            at += 1;
        }
        let starts_path = words.get(at).is_some_and(|word| is_name(word));
        let is_path = starts_path && words.get(at + 1).is_some_and(|word| word == "::");
        if is_path || (begins_use && at < words.len()) {
            let mut tree = Vec::new();
            at = read_tree(&words, at, &mut Vec::new(), &mut tree);
            found.extend(tree.iter().map(|path| from_root(path, module)));
        } else {
            at += 1;
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether `path` is `prefix` or something below it.
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Replaces comments, string and character literals by spaces; line breaks stay.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = comment_or_literal(rest);
        if length > 0 {
            code.push(' ');
            code.extend(rest[..length].chars().filter(|c| *c == '\n'));
            rest = &rest[length..];
        } else if first.is_alphanumeric() || first == '_' {
            // A whole word at a time, so that the r of `for"` is not taken for a raw string.
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            code.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Length in bytes of the comment or literal that `text` begins with; 0 if it begins with neither.
fn comment_or_literal(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if prefix <= 1 {
        if unprefixed.starts_with('"') {
            return prefix + quoted(unprefixed, '"');
        }
        if let Some(raw) = unprefixed.strip_prefix('r') {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            if raw[hashes..].starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let body = &raw[hashes + 1..];
                let length = body.find(&end).map_or(body.len(), |at| at + end.len());
                return prefix + 1 + hashes + 1 + length;
            }
        }
    }
    if let Some(body) = text.strip_prefix('\'') {
        // 'a' and '\n' are characters, 'a without an end is a lifetime.
        let mut characters = body.chars();
        match (characters.next(), characters.next()) {
            (Some('\\'), _) => return quoted(text, '\''),
            (Some(one), Some('\'')) => return 1 + one.len_utf8() + 1,
            _ => {}
        }
    }
    0
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn without_test_module(code: &str) -> &str {
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let at = from + found;
        let after = code[at + "#[cfg(test)]".len()..].trim_start();
        if after.starts_with("mod ") && after.find('{') < after.find(';') {
            return &code[..at];
        }
        from = at + 1;
    }
    code
}

fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            words.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    words
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one path or tree beginning at `at`; returns where it ends.
fn read_tree(words: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    // The leading `::` of an absolute path adds nothing here.
    if words.get(at).is_some_and(|word| word == "::") {
        at += 1;
    }
    loop {
        match words.get(at).map(String::as_str) {
            Some("{") => {
                at = read_group(words, at + 1, prefix, found);
                break;
            }
            Some(word) if is_name(word) => {
                prefix.push(word.to_owned());
                at += 1;
            }
            Some("*") => at += 1,
            // `Vec::<u8>` and the like: the path ends here.
            _ => {
                found.push(prefix.clone());
                break;
            }
        }
        if words.get(at).is_some_and(|word| word == "::") {
            at += 1;
        } else {
            found.push(prefix.clone());
            break;
        }
    }
    prefix.truncate(depth);
    at
}

fn read_group(words: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "}" => return at + 1,
            "," => at += 1,
            // The new name says nothing about what is named.
            "as" => at += 2,
            word if is_name(word) || word == "{" => at = read_tree(words, at, prefix, found),
            _ => at += 1,
        }
    }
    at
}

fn from_root(path: &[String], module: &[String]) -> String {
    let mut base: Vec<&str> = vec!["crate"];
    base.extend(module.iter().map(String::as_str));
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate") => {
            base.truncate(1);
            rest = &path[1..];
        }
        Some("self") => rest = &path[1..],
        Some("super") => {
            while rest.first().is_some_and(|word| word == "super") {
                if base.len() > 1 {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
        _ => base.clear(),
    }
    base.extend(rest.iter().map(String::as_str));
    // `use a::{self, b}` names a itself.
    if base.len() > 1 && base.last() == Some(&"self") {
        base.pop();
    }
    base.join("::")
}

#[cfg(test)]
mod tests {
    use super::{is_below, paths, without_comments_and_literals};

    fn at(module: &[&str], text: &str) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|&part| part.to_owned()).collect();
        paths(text, &module)
    }

    #[test]
    fn nested_use_trees_are_spelled_out() {
        let text = "use crate::{self as root, host, executors::{scan::Scan as S, self}, journal::*};";
        assert_eq!(
            at(&["worker"], text),
            ["crate", "crate::executors", "crate::executors::scan::Scan", "crate::host", "crate::journal"]
        );
    }

    #[test]
    fn expressions_name_paths_too() {
        let text = "fn f() -> axum::Router { let x = crate::link::connect::<u8>(1); x }";
        assert_eq!(at(&["worker"], text), ["axum::Router", "crate::link::connect"]);
    }

    #[test]
    fn super_and_self_are_resolved() {
        let text = "use super::scan::Scan; use self::parts::A; use super::super::link;";
        assert_eq!(
            at(&["executors", "isolate"], text),
            ["crate::executors::isolate::parts::A", "crate::executors::scan::Scan", "crate::link"]
        );
    }

    #[test]
    fn a_use_of_a_bare_name_or_group_counts() {
        assert_eq!(at(&[], "use rusqlite;"), ["rusqlite"]);
        assert_eq!(at(&[], "use {axum, store::Store};"), ["axum", "store::Store"]);
    }

    #[test]
    fn comments_literals_and_lifetimes_are_no_paths() {
        let text = "// use store::A;\n/* store::B /* x */ store::C */ fn f<'a>(c: char) {\n\
                    let s = \"store::D \\\" store::E\"; let r = r#\"store::F\"#; let q = '\"'; let e = '\\''; }";
        assert_eq!(at(&[], text), Vec::<String>::new());
        assert_eq!(without_comments_and_literals("a // b\nc"), "a  \nc");
    }

    #[test]
    fn the_test_module_is_left_out_but_a_test_only_function_is_not() {
        let text = "#[cfg(test)]\nfn f() { store::a() }\n#[cfg(test)]\nmod tests { use axum::B; }";
        assert_eq!(at(&[], text), ["store::a"]);
    }

    #[test]
    fn below_means_whole_words() {
        assert!(is_below("store::Store", "store"));
        assert!(is_below("store", "store"));
        assert!(!is_below("storehouse::Store", "store"));
    }
}
