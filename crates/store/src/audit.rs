//! What an audit asks of one action, whatever engine keeps it.

use domain::lifecycle::{EVENTS, Next, Stage, next};

/// What is wrong with the stages that an action moved through, if anything.
pub(crate) fn walk(moves: &[Stage], stage: Stage) -> Option<String> {
    if moves.first() != Some(&Stage::Pending) {
        return Some("its history does not begin in Pending".into());
    }
    let step = moves.windows(2).find(|pair| !EVENTS.iter().any(|event| next(pair[0], *event) == Next::To(pair[1])));
    if let Some([from, to]) = step {
        return Some(format!("no event leads from {from} to {to}"));
    }
    let finals = moves.iter().filter(|stage| stage.is_final()).count();
    if finals != usize::from(stage.is_final()) {
        return Some(format!("it is {stage}, and its history ends it {finals} times"));
    }
    match moves.last() {
        Some(last) if *last != stage => Some(format!("it is {stage}, and its history says {last}")),
        _ => None,
    }
}
