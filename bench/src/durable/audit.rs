//! What is on record at the end, against every answer that was given.

use super::load::Record;
use anyhow::Context as _;
use cli::client::{ActionFilter, Client};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// The most actions that are listed.
const LISTED_MAX: usize = 1_000_000;

/// How many histories are read.
const HISTORIES: usize = 300;

/// How many findings are told in full.
const FINDINGS_SHOWN: usize = 20;

/// The fields that a cancel changes; all others stay as they were when the action was created.
const CHANGED_BY_CANCEL: [&str; 6] = [
    "status",
    "lastUpdateDateTimeUtc",
    "cancellationRequestor",
    "cancellationComment",
    "cancellationDateTimeUtc",
    "errorHResult",
];

/// Re-reads every action through the API: nothing that was acknowledged is missing, changed or there twice.
///
/// # Errors
/// The API does not answer.
pub(super) async fn compare(client: &Client, records: &[Record]) -> anyhow::Result<Vec<String>> {
    let listed = client.actions(&ActionFilter::default(), LISTED_MAX).await.context("listing the actions")?;
    let (mut by_id, mut by_comment) = (HashMap::new(), HashMap::<String, usize>::new());
    for found in listed.split() {
        *by_comment.entry(found.item.requestor_comment).or_default() += 1;
        by_id.insert(found.item.id, found.json);
    }
    let mut wrong = Vec::new();
    let twice = by_comment.iter().filter(|(_, count)| **count > 1);
    wrong.extend(twice.map(|(comment, count)| format!("{comment} is there {count} times")));
    let asked: std::collections::HashSet<&str> = records.iter().map(|record| record.comment.as_str()).collect();
    let strangers = by_comment.keys().filter(|comment| !asked.contains(comment.as_str()));
    wrong.extend(strangers.map(|comment| format!("{comment} was never asked for")));
    for record in records {
        wrong.extend(compare_one(record, &by_id));
    }
    let in_doubt: Vec<&Record> = records.iter().filter(|record| record.created.is_none()).collect();
    let kept = in_doubt.iter().filter(|record| by_comment.contains_key(&record.comment)).count();
    println!("  {} actions on record; of {} in doubt {kept} are there", by_id.len(), in_doubt.len());
    Ok(wrong)
}

fn compare_one(record: &Record, by_id: &HashMap<String, Value>) -> Option<String> {
    let created = fields(record.created.as_ref()?);
    let id = created.get("id").and_then(Value::as_str).unwrap_or_default();
    let Some(found) = by_id.get(id) else {
        return Some(format!("{id} ({}) was acknowledged and is gone", record.comment));
    };
    let found = fields(found);
    let promised = match &record.cancelled {
        None => &created,
        Some(cancelled) => {
            let cancelled = fields(cancelled);
            if cancelled.get("status").and_then(Value::as_str) != Some("Cancelled") {
                return Some(format!("{id}: the cancel was answered with {:?}", cancelled.get("status")));
            }
            let changed = created.iter().find(|(name, value)| {
                !CHANGED_BY_CANCEL.contains(&name.as_str()) && cancelled.get(*name) != Some(*value)
            });
            if let Some((name, value)) = changed {
                return Some(format!("{id}: the cancel changed {name} from {value} to {:?}", cancelled.get(name)));
            }
            &fields(record.cancelled.as_ref()?)
        }
    };
    let differs = promised.iter().find(|(name, value)| found.get(*name) != Some(*value));
    differs.map(|(name, value)| format!("{id}: {name} was acknowledged as {value} and is {:?}", found.get(name)))
}

/// An entity without what only says where its description is.
fn fields(entity: &Value) -> Map<String, Value> {
    let mut fields = entity.as_object().cloned().unwrap_or_default();
    fields.retain(|name, _| !name.starts_with('@'));
    fields
}

/// Reads the histories of a sample: each ends as often as its action did, and its chain holds.
///
/// # Errors
/// The API does not answer.
pub(super) async fn histories(client: &Client, records: &[Record]) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut read = 0;
    let every = (records.len() / HISTORIES).max(1);
    for record in records.iter().filter(|record| record.created.is_some()).step_by(every) {
        let id = record.created.as_ref().and_then(|created| created["id"].as_str()).unwrap_or_default();
        let history = client.history(id).await.context("reading a history")?.item;
        read += 1;
        if history.verified != Some(true) {
            wrong.push(format!("{id}: the chain of its history does not hold"));
        }
        let ends =
            history.lines.iter().filter(|line| line.source == "Server" && line.status.as_deref() == Some("Cancelled"));
        let (ends, expected) = (ends.count(), usize::from(record.cancelled.is_some()));
        if ends != expected {
            wrong.push(format!("{id}: its history ends it {ends} times; right is {expected}"));
        }
    }
    println!("  {read} histories read");
    Ok(wrong)
}

/// Questions to the file itself, each with a count that must be 0.
const MUST_BE_NONE: [(&str, &str); 4] = [
    (
        "actions that end more than once",
        "SELECT count(*) FROM (SELECT action FROM history WHERE moved_to IN \
         ('Succeeded', 'Failed', 'TimedOut', 'Cancelled') GROUP BY action HAVING count(*) > 1)",
    ),
    (
        "actions whose stage is not the last that their history moved them to",
        "SELECT count(*) FROM actions WHERE stage IS NOT (SELECT moved_to FROM history WHERE action = number \
         AND moved_to IS NOT NULL ORDER BY sequence DESC LIMIT 1)",
    ),
    ("actions of one comment", "SELECT count(*) - count(DISTINCT comment) FROM actions"),
    (
        "machines with two live actions of a kind",
        "SELECT count(*) FROM (SELECT 1 FROM actions WHERE stage IN ('Pending', 'Granted', 'Stopping') \
         GROUP BY machine, kind HAVING count(*) > 1)",
    ),
];

/// Asks the file of a store directly: whether it is whole, and whether anything is in it that may never be.
///
/// # Errors
/// It cannot be read.
pub(crate) fn findings_in(path: &Path) -> anyhow::Result<Vec<String>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("opening {}", path.display()))?;
    let mut wrong = Vec::new();
    let mut check = connection.prepare("PRAGMA integrity_check")?;
    for line in check.query_map([], |row| row.get::<_, String>(0))? {
        let line = line?;
        if line != "ok" {
            wrong.push(format!("the file is damaged: {line}"));
        }
    }
    for (what, question) in MUST_BE_NONE {
        let count: i64 = connection.query_row(question, [], |row| row.get(0)).with_context(|| question.to_string())?;
        if count != 0 {
            wrong.push(format!("{count} {what}"));
        }
    }
    Ok(wrong)
}

/// Opens the file of the store, which nobody uses any more, and asks it directly.
///
/// # Errors
/// It cannot be read.
pub(super) fn file(path: &Path, records: &[Record]) -> anyhow::Result<Vec<String>> {
    let mut wrong = findings_in(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let rows: i64 = connection.query_row("SELECT count(*) FROM actions", [], |row| row.get(0))?;
    let rows = usize::try_from(rows)?;
    let acknowledged = records.iter().filter(|record| record.created.is_some()).count();
    println!("  {rows} actions in the file after the last kill, {acknowledged} acknowledged");
    if rows < acknowledged || rows > records.len() {
        wrong.push(format!("{rows} actions in the file; right is {acknowledged} to {}", records.len()));
    }
    Ok(wrong)
}

/// Shows what was found.
pub(super) fn show(wrong: &[String]) {
    for finding in wrong.iter().take(FINDINGS_SHOWN) {
        println!("VIOLATION {finding}");
    }
    println!("durable: {} findings", wrong.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(cancelled: Option<Value>) -> Record {
        let created = json!({ "@odata.context": "c", "id": "a", "status": "Pending", "comment": "x" });
        Record { comment: "x".into(), created: Some(created), cancelled, cancels_lost: 0 }
    }

    fn found(status: &str, comment: &str) -> HashMap<String, Value> {
        [("a".to_string(), json!({ "id": "a", "status": status, "comment": comment }))].into()
    }

    #[test]
    fn what_was_acknowledged_is_there_as_it_was() {
        assert_eq!(compare_one(&record(None), &found("Pending", "x")), None);
        assert!(compare_one(&record(None), &HashMap::new()).unwrap().contains("gone"));
        assert!(compare_one(&record(None), &found("Cancelled", "x")).unwrap().contains("status"));
        assert!(compare_one(&record(None), &found("Pending", "y")).unwrap().contains("comment"));
    }

    #[test]
    fn a_cancel_changes_what_a_cancel_changes() {
        let cancelled = |comment: &str| Some(json!({ "id": "a", "status": "Cancelled", "comment": comment }));
        assert_eq!(compare_one(&record(cancelled("x")), &found("Cancelled", "x")), None);
        assert!(compare_one(&record(cancelled("x")), &found("Pending", "x")).is_some());
        assert!(compare_one(&record(cancelled("y")), &found("Cancelled", "y")).unwrap().contains("changed"));
        let pending = Some(json!({ "id": "a", "status": "Pending", "comment": "x" }));
        assert!(compare_one(&record(pending), &found("Pending", "x")).is_some());
    }
}
