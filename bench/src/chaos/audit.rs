//! The last questions, once everything has ended: every answer that was kept, asked again; every history; the store.

use super::answers::Answered;
use super::book::Book;
use crate::{durable, marks};
use anyhow::Context as _;
use cli::client::{ActionFilter, Client};
use std::collections::HashSet;
use std::path::Path;

/// The most actions that are listed.
const LISTED_MAX: usize = 1_000_000;

/// Asks for everything again: nothing that was acknowledged is missing, changed, or there twice.
///
/// # Errors
/// The API does not answer.
pub(super) async fn answers(client: &Client, book: &Book) -> anyhow::Result<()> {
    let asked_ns = marks::now_ns();
    let listed = client.actions(&ActionFilter::default(), LISTED_MAX).await.context("listing the actions")?;
    let at_ns = marks::now_ns();
    let (mut ids, mut comments) = (HashSet::new(), HashSet::new());
    for found in listed.split() {
        let (id, comment) = (found.item.id, found.item.requestor_comment);
        if !book.adopt(&id, &comment) {
            book.violation(None, Some(&id), format!("nobody asked for it: {comment:?}"));
        }
        book.heard(&id, &Answered { asked_ns, at_ns, json: found.json });
        if !comments.insert(comment.clone()) {
            book.violation(None, Some(&id), format!("{comment} is there twice"));
        }
        ids.insert(id);
    }
    book.judge_since(0)?;
    for life in book.lives() {
        let machine = Some(life.wish.machine);
        if !ids.contains(&life.id) {
            book.violation(machine, Some(&life.id), "it was acknowledged and is gone".into());
            continue;
        }
        let history = client.history(&life.id).await.context("reading a history")?.item;
        let ended = history.lines.iter().filter(|line| line.source == "Server");
        let is_end = |status: &&str| !matches!(*status, "Pending" | "InProgress");
        let ends: Vec<&str> = ended.filter_map(|line| line.status.as_deref()).filter(is_end).collect();
        if !life.status().is_empty() && ends != [life.status()] {
            book.violation(
                machine,
                Some(&life.id),
                format!("it is {}, and its history ends as {ends:?}", life.status()),
            );
        }
        if history.verified != Some(true) {
            book.violation(machine, Some(&life.id), "the chain of its history does not hold".into());
        }
    }
    Ok(())
}

/// Asks the store's own file.
///
/// # Errors
/// It cannot be read.
pub(super) fn store(data_dir: &Path, book: &Book) -> anyhow::Result<()> {
    for what in durable::findings_in(&data_dir.join("countermand.db"))? {
        book.violation(None, None, what);
    }
    Ok(())
}
