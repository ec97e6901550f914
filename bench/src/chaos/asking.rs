//! One request and what came of it; a cancel, asked for until there is an answer.

use super::answers::Answered;
use super::book::{Book, MORE};
use super::load::Shared;
use crate::marks;
use cli::client::{Answer, ClientError};
use protocol::defender::action::MachineAction;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long an answer is waited for: usually, and by an impatient client that loses many.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const IMPATIENCE: Duration = Duration::from_millis(15);

/// The pause after a refusal or a lost answer.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(400);

/// How often an action is asked for whose cancel was refused.
const LOOKS_MAX: usize = 100;

/// What came of a request.
pub(super) enum Reply<T> {
    /// This.
    Answered(Answered, T),
    /// It may have arrived.
    Lost,
    /// It has not arrived, or cannot be dealt with just now.
    NotNow,
    /// No, and that will not change.
    Refused(ClientError),
}

/// Asks to cancel until there is an answer. The same comment again is the same cancel again.
pub(super) async fn cancel(shared: &Shared, id: &str, comment: String, after: Duration, mut impatient: bool) {
    tokio::time::sleep(after).await;
    let book = &shared.book;
    book.with(id, |life| life.cancels_sent.push(comment.clone()));
    while !book.given_up.load(Ordering::SeqCst) {
        let patience = if impatient { IMPATIENCE } else { PATIENCE };
        impatient = false;
        match ask(book, patience, shared.world.client.cancel(id, &comment)).await {
            Reply::Answered(answered, _) => {
                book.counts.cancels.fetch_add(1, Ordering::Relaxed);
                book.heard(id, &answered);
                for what in book.with(id, |life| life.cancel_taken(&answered)).unwrap_or_default() {
                    book.violation(None, Some(id), what);
                }
                return;
            }
            Reply::Refused(ClientError::Api { status: 400, .. }) => {
                book.counts.cancels_late.fetch_add(1, Ordering::Relaxed);
                return too_late(shared, id).await;
            }
            Reply::Refused(error) => {
                book.violation(None, Some(id), format!("a cancel was refused: {error}"));
                return;
            }
            Reply::Lost => {
                book.counts.lost.fetch_add(1, Ordering::Relaxed);
            }
            Reply::NotNow => {}
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// A cancel that is refused as too late: then the action has an end, and another than Cancelled.
async fn too_late(shared: &Shared, id: &str) {
    for _ in 0..LOOKS_MAX {
        if let Reply::Answered(answered, action) = ask(&shared.book, PATIENCE, shared.world.client.action(id)).await {
            shared.book.heard(id, &answered);
            if matches!(action.status.as_str(), "Pending" | "InProgress" | "Cancelled") {
                let what = format!("a cancel was refused as too late, and it is {}", action.status);
                shared.book.violation(None, Some(id), what);
            }
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Sends a request and says what came of it.
pub(super) async fn ask(
    book: &Book,
    patience: Duration,
    request: impl Future<Output = Result<Answer<MachineAction>, ClientError>>,
) -> Reply<MachineAction> {
    let asked_ns = marks::now_ns();
    match tokio::time::timeout(patience, request).await {
        Ok(Ok(answer)) => {
            Reply::Answered(Answered { asked_ns, at_ns: marks::now_ns(), json: answer.json }, answer.item)
        }
        Err(_) => Reply::Lost,
        Ok(Err(ClientError::Api { status: 500, message, target, .. })) => {
            // What it cannot do just now it says with 503; this is a thing it did not expect itself.
            book.violation(None, None, format!("the server answered 500: {message}{MORE}its log tells why: {target}"));
            Reply::Lost
        }
        Ok(Err(error)) if error.may_have_arrived() => Reply::Lost,
        // A token is refused while a clock is wrong; the next one is as good as the clock.
        Ok(Err(ClientError::SignIn { .. } | ClientError::Api { status: 401, .. })) => Reply::NotNow,
        Ok(Err(error)) if error.is_passing() => Reply::NotNow,
        Ok(Err(error)) => Reply::Refused(error),
    }
}
