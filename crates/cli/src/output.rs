//! What people and scripts get to see. Text from the API is not trusted: a machine picks its own name, a script its own
//! output, and neither may drive the terminal of the responder who reads it. So everything printed goes through here.

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};
use serde_json::Value;
use std::io::Write;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: aligned columns, times in UTC
    #[default]
    Table,
    /// The API's JSON, indented; a list as the API's list
    Json,
    /// The API's JSON, one item on each line
    Jsonl,
}

/// Where a command's results go: standard output, in one format.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The format.
    pub format: Format,
}

impl Output {
    /// Whether people read it.
    pub fn is_table(self) -> bool {
        self.format == Format::Table
    }

    /// One line for people; nothing in the JSON formats.
    pub fn line(self, text: &str) {
        if self.is_table() {
            write_out(&format!("{}\n", escaped(text)));
        }
    }

    /// One item in the JSON formats; nothing for people.
    pub fn item(self, json: &Value) {
        match self.format {
            Format::Table => {}
            Format::Json => write_out(&format!("{}\n", json_text(json, true))),
            Format::Jsonl => write_out(&format!("{}\n", json_text(json, false))),
        }
    }

    /// One item on one line in the JSON formats, for what comes bit by bit; nothing for people.
    pub fn item_line(self, json: &Value) {
        if !self.is_table() {
            write_out(&format!("{}\n", json_text(json, false)));
        }
    }

    /// A list in the JSON formats (`list` is the API's, with the items in `value`); nothing for people.
    pub fn list(self, list: &Value) {
        match (self.format, list.get("value").and_then(Value::as_array)) {
            (Format::Jsonl, Some(items)) => items.iter().for_each(|item| self.item(item)),
            _ => self.item(list),
        }
    }

    /// A table for people; nothing in the JSON formats. The first column, which people copy, is never wrapped.
    pub fn table(self, header: &[&str], rows: Vec<Vec<String>>) {
        if !self.is_table() {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if !header.is_empty() {
            table.set_header(Row::from(header.iter().map(ToString::to_string).collect::<Vec<_>>()));
        }
        for row in rows {
            table.add_row(Row::from(row.iter().map(|cell| escaped(cell)).collect::<Vec<_>>()));
        }
        table.discover_columns();
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        if let Some(first) = table.column_mut(0) {
            first.set_constraint(ColumnConstraint::ContentWidth);
        }
        write_out(&format!("{}\n", table.trim_fmt()));
    }
}

/// One line for people beside the results: on standard error, so that a script's pipe stays clean.
pub fn notice(text: &str) {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", escaped(text));
}

/// Text with everything made visible that could move the cursor, hide itself, or reorder what stands beside it.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_active(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// An instant of the API for people: UTC, to the second. What is not an instant is shown as it is.
pub fn instant(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => text.to_string(),
    }
}

/// At most `chars_max` characters, with a mark where something was cut off.
pub fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

/// Control characters, and those of Unicode's format characters that change how other text is shown.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// JSON that means the same and is as harmless on a terminal as [`escaped`] text: JSON itself escapes only the first
/// 32 control characters.
fn json_text(json: &Value, indented: bool) -> String {
    let text = if indented { format!("{json:#}") } else { json.to_string() };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && is_active(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A reader that has seen enough (`| head`) is no reason to stop half way through a cancel.
fn write_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        notice(&format!("cannot write the result: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_gets_through() {
        let hostile = "web\u{1b}[2J\r\n\u{9b}31m\u{202e}\u{200b}\u{7f}\u{e0041}é";
        let shown = escaped(hostile);
        assert_eq!(shown, "web\\u{1b}[2J\\r\\n\\u{9b}31m\\u{202e}\\u{200b}\\u{7f}\\u{e0041}é");
        let json = json_text(&Value::String(hostile.into()), true);
        assert!(json.chars().all(|character| !is_active(character)), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), Value::String(hostile.into()));
    }

    #[test]
    fn instants_are_utc_to_the_second() {
        assert_eq!(instant("2026-01-02T03:04:05.1234567Z"), "2026-01-02 03:04:05Z");
        assert_eq!(instant("soon"), "soon");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("ééé", 2), "éé...");
        assert_eq!(shortened("ééé", 3), "ééé");
    }
}
