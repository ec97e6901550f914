//! What the audit log is told. What changes something brings its line into the same transaction; what is refused, or
//! changes nothing, or is only fetched, has a line of its own. Those that are alike within a minute share one, so that
//! no flood of bad requests fills the disk.

use super::{ActionError, Actions, Caller};
use domain::action::Body;
use domain::audit::{CallerKind, Entry, Head, Outcome, StoredEntry};
use domain::ids::Digest;
use domain::permission::PermissionType;
use domain::time::{TICKS_PER_SECOND, Timestamp};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long requests that are alike share a line, in ticks: a minute.
const WINDOW_TICKS: i64 = 60 * TICKS_PER_SECOND;

/// How many sorts of requests of nobody in particular are told apart at once. Each has at most two lines a minute, and
/// what is beyond shares two more: at some 400 bytes a line, a flood that never ends writes some 40 MB a day.
const UNKNOWN_SORTS_MAX: usize = 32;

/// The same of callers that are known, who can be asked about it.
const KNOWN_SORTS_MAX: usize = 512;

/// What stands for the operation of requests that are told apart no further.
const OTHERS: &str = "others";

/// Whence a request came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub address: Option<IpAddr>,
    /// What was asked for, as the API's table of contents has it.
    pub operation: String,
    /// The id under which our own log has it, and under which a refusal is shown.
    pub correlation: String,
}

impl Origin {
    /// A line of a request from here, done at `now` by this caller.
    pub fn entry(&self, now: Timestamp, kind: CallerKind, caller: &str) -> Entry {
        Entry {
            address: self.address.map(|address| address.to_string()),
            correlation: Some(self.correlation.clone()).filter(|id| !id.is_empty()),
            ..Entry::new(now, kind, caller, &self.operation)
        }
    }
}

impl Caller {
    /// What sort of caller.
    pub fn kind(&self) -> CallerKind {
        match self.permission_type {
            _ if self.name.is_empty() => CallerKind::Nobody,
            PermissionType::Application => CallerKind::Application,
            PermissionType::Delegated => CallerKind::User,
        }
    }

    /// A line of what this caller asked for, done at `now`.
    pub fn entry(&self, now: Timestamp) -> Entry {
        self.origin.entry(now, self.kind(), &self.name)
    }
}

/// The SHA-256 of an action's body, as the store keeps it.
pub(super) fn body_digest(body: &Body) -> Option<Digest> {
    serde_json::to_vec(body).ok().map(|bytes| Digest::of(&bytes))
}

/// The name that an enrolment token has in the audit log: enough of its digest to find its uses, and no secret.
pub(crate) fn token_name(digest: &Digest) -> String {
    format!("enrolment token {}", &digest.to_string()[..16])
}

impl Actions {
    /// Tells the audit log of a request that was refused. That stands whether or not it can be written.
    pub async fn refused(&self, entry: Entry) {
        if let Err(error) = self.tell(entry).await {
            tracing::error!(%error, "a refusal is missing from the audit log");
        }
    }

    /// Tells the audit log of something that is handed out now, or that changed nothing.
    ///
    /// # Errors
    /// It cannot be written: then nothing is handed out.
    pub async fn told(&self, entry: Entry) -> Result<(), ActionError> {
        Ok(self.tell(entry).await?)
    }

    async fn tell(&self, entry: Entry) -> Result<(), store::StoreError> {
        let Some((sort, entry)) = self.repeats.meet(entry) else { return Ok(()) };
        let written = self.store.audit(&entry).await;
        if written.is_err() {
            // Or the next of its sort would be counted beside a line that is not there.
            self.repeats.forget(&sort);
        }
        written
    }

    /// Writes down what was counted, once its minute is over, or now if `all`.
    pub async fn write_counted(&self, now: Timestamp, all: bool) -> Result<(), ActionError> {
        for entry in self.repeats.ended(now, all) {
            if let Err(error) = self.store.audit(&entry).await {
                self.repeats.put_back(entry);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// How far the audit log goes, by its own account.
    pub async fn audit_head(&self) -> Result<Head, ActionError> {
        Ok(self.store.audit_head().await?)
    }

    /// Lines of the audit log after this one.
    pub async fn audit_lines(&self, after: u64, limit: u32) -> Result<Vec<StoredEntry>, ActionError> {
        Ok(self.store.audit_lines(after, limit).await?)
    }
}

/// Requests that are alike: by the same caller from the same place, for the same thing, with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sort {
    kind: CallerKind,
    caller: String,
    address: Option<IpAddr>,
    operation: String,
    outcome: Outcome,
    /// What is handed out; nothing else is told apart by what it is about.
    about: Option<(String, String)>,
}

/// A minute of one sort.
struct Window {
    begun: Timestamp,
    /// The latest that was counted, for all that were.
    counted: Option<Entry>,
}

/// What was met within the last minute.
#[derive(Default)]
pub(super) struct Repeats {
    windows: Mutex<BTreeMap<Sort, Window>>,
}

impl Repeats {
    /// Counts a request. Returned is what is to be written now: the first of its sort.
    fn meet(&self, entry: Entry) -> Option<(Sort, Entry)> {
        let mut windows = self.windows();
        let mut sort = Sort::of(&entry);
        let mut entry = entry;
        if !windows.contains_key(&sort) {
            let unknown = sort.kind == CallerKind::Nobody;
            let alike = windows.keys().filter(|other| (other.kind == CallerKind::Nobody) == unknown).count();
            if alike >= if unknown { UNKNOWN_SORTS_MAX } else { KNOWN_SORTS_MAX } {
                entry = others(entry);
                sort = Sort::of(&entry);
            }
        }
        match windows.get_mut(&sort) {
            None => {
                windows.insert(sort.clone(), Window { begun: entry.at, counted: None });
                Some((sort, entry))
            }
            Some(window) => {
                window.count(entry);
                None
            }
        }
    }

    /// What was counted by windows that are over.
    fn ended(&self, now: Timestamp, all: bool) -> Vec<Entry> {
        let mut windows = self.windows();
        // A clock that was set back must not keep a window open.
        let over = |window: &Window| all || window.begun > now || now.0.saturating_sub(window.begun.0) >= WINDOW_TICKS;
        let ended = windows.extract_if(.., |_, window| over(window));
        ended.filter_map(|(_, window)| window.counted).collect()
    }

    /// Takes back what could not be written.
    fn put_back(&self, entry: Entry) {
        let mut windows = self.windows();
        let begun = entry.at;
        windows.entry(Sort::of(&entry)).or_insert(Window { begun, counted: None }).count(entry);
    }

    fn forget(&self, sort: &Sort) {
        self.windows().remove(sort);
    }

    fn windows(&self) -> MutexGuard<'_, BTreeMap<Sort, Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn count(&mut self, entry: Entry) {
        let before = self.counted.as_ref().map_or(0, |counted| counted.times);
        self.counted = Some(Entry { times: before.saturating_add(entry.times), ..entry });
    }
}

impl Sort {
    fn of(entry: &Entry) -> Self {
        let fetched = entry.kind == CallerKind::Link && entry.outcome == Outcome::Done;
        Self {
            kind: entry.kind,
            caller: entry.caller.clone(),
            address: entry.address.as_deref().and_then(|address| address.parse().ok()).map(place),
            operation: entry.operation.clone(),
            outcome: entry.outcome.clone(),
            about: fetched
                .then(|| (entry.action.clone().unwrap_or_default(), entry.object.clone().unwrap_or_default())),
        }
    }
}

/// A line for what is told apart no further.
fn others(entry: Entry) -> Entry {
    let outcome = match entry.outcome {
        Outcome::Refused { .. } => Outcome::Refused { status: 0, code: OTHERS.into() },
        other => other,
    };
    Entry { outcome, times: entry.times, ..Entry::new(entry.at, entry.kind, "", OTHERS) }
}

/// Whoever has an address of the sixth version has 2^64 of them.
fn place(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000 + seconds)
    }

    fn refused(now: Timestamp, kind: CallerKind, caller: &str, address: &str) -> Entry {
        let outcome = Outcome::Refused { status: 401, code: "Unauthorized".into() };
        let origin = Origin { address: address.parse().ok(), operation: "GET /x".into(), correlation: "id".into() };
        Entry { outcome, ..origin.entry(now, kind, caller) }
    }

    #[test]
    fn the_first_is_written_at_once_and_the_rest_of_its_minute_as_one() {
        let repeats = Repeats::default();
        let meet = |seconds, caller: &str| {
            repeats.meet(refused(at(seconds), CallerKind::Application, caller, "192.0.2.1")).is_some()
        };
        assert!(meet(0, "a") && meet(0, "b"));
        assert!(!meet(1, "a") && !meet(59, "a"));
        assert!(repeats.ended(at(59), false).is_empty());
        let counted = repeats.ended(at(60), false);
        assert_eq!(counted.len(), 1, "b came once, and that is written");
        assert_eq!((counted[0].caller.as_str(), counted[0].times, counted[0].at), ("a", 2, at(59)));
        assert!(meet(61, "a"), "another minute");
        assert!(!meet(62, "a"));
        repeats.put_back(repeats.ended(at(62), true).remove(0));
        assert_eq!(repeats.ended(at(0), false)[0].times, 1, "a clock that was set back ends a minute");
    }

    #[test]
    fn a_flood_of_strangers_is_a_few_lines_and_hides_no_caller_that_is_known() {
        let repeats = Repeats::default();
        let mut written = 0;
        for number in 0..100_000u32 {
            let address = IpAddr::from(number.to_be_bytes()).to_string();
            written += u32::from(repeats.meet(refused(at(0), CallerKind::Nobody, "", &address)).is_some());
        }
        assert_eq!(written as usize, UNKNOWN_SORTS_MAX + 1);
        assert!(repeats.meet(refused(at(0), CallerKind::Application, "app", "192.0.2.1")).is_some());
        let counted = repeats.ended(at(60), false);
        assert_eq!(counted.iter().map(|entry| u64::from(entry.times)).sum::<u64>() + u64::from(written), 100_000);
        assert!(counted.len() <= UNKNOWN_SORTS_MAX + 1);
    }

    #[test]
    fn addresses_of_the_sixth_version_count_by_their_network() {
        let repeats = Repeats::default();
        let meet = |address: &str| repeats.meet(refused(at(0), CallerKind::Nobody, "", address)).is_some();
        assert!(meet("2001:db8::1") && !meet("2001:db8::2") && meet("2001:db8:0:1::1"));
        assert!(meet("192.0.2.1") && !meet("::ffff:192.0.2.1") && meet("192.0.2.2"));
    }

    #[test]
    fn what_is_handed_out_is_told_apart_by_what_it_is() {
        let repeats = Repeats::default();
        let fetch = |action: &str| {
            let entry = Entry::new(at(0), CallerKind::Link, "", "GET /api/downloads/{action}/{step}");
            repeats.meet(entry.action(action).object(0)).is_some()
        };
        assert!(fetch("a") && fetch("b") && !fetch("a"));
    }
}
