//! The clients: for each machine one that cuts it off and lets it back, and one that puts files and runs scripts. Both
//! cancel at random moments, lose answers, and remember what they were told.

use super::answers::{Answered, Kind, Life, Wish};
use super::asking::{AGAIN_AFTER, IMPATIENCE, PATIENCE, Reply, ask, cancel};
use super::book::Book;
use super::judge::{self, Network, SCRIPT_NAME};
use super::world::World;
use crate::dice::Dice;
use crate::{marks, playground};
use anyhow::Context as _;
use cli::client::{ActionFilter, Client, ClientError, LibraryUpload};
use protocol::defender::action::{CommandWords, Param};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// The pause between two looks at an action: from, and up to that more.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(120), Duration::from_millis(180));

/// The longest pause between two actions of a worker.
const THINKING: Duration = Duration::from_millis(2500);

/// How often an action whose creation is in doubt is looked for, with answers, before it counts as not there.
const DOUBT_LOOKS: usize = 3;
const DOUBT_PAUSE: Duration = Duration::from_millis(1500);

/// How many actions of a machine are listed at most.
const LISTED_MAX: usize = 20_000;

/// How often all open actions are looked at.
const OVERVIEW_EVERY: Duration = Duration::from_secs(2);

/// How many files there are to be put; each has its name as its content.
const FILES: u64 = 12;

/// Marks of the shell's two children: one that it waits for, one that outlives it unless it is killed.
const SCRIPT: &str = "#!/bin/sh
# Arguments: the program that leaves marks, the witness file, how long to live in milliseconds.
\"$1\" mark \"$2\" start
\"$1\" mark \"$2\" child --for-ms 120000 --every-ms 15 &
\"$1\" mark \"$2\" beat --for-ms \"$3\" --every-ms 10
\"$1\" mark \"$2\" end
";

/// What all workers share.
#[derive(Clone)]
pub(super) struct Shared {
    /// What they play with.
    pub(super) world: Arc<World>,
    /// What they know.
    pub(super) book: Arc<Book>,
    /// Whether new actions may be asked for.
    pub(super) gate: watch::Receiver<bool>,
}

/// Puts the script and the files into the library.
///
/// # Errors
/// The API refuses.
pub(super) async fn provide(client: &Client) -> anyhow::Result<()> {
    let files = (0..FILES).map(|number| (file_name(number), file_name(number)));
    for (file_name, content) in files.chain([(SCRIPT_NAME.to_string(), SCRIPT.to_string())]) {
        let parameters = (file_name == SCRIPT_NAME).then(|| "program, witness, milliseconds".to_string());
        let content = content.into_bytes();
        let upload = LibraryUpload { file_name, content, description: "chaos".into(), parameters, overrides: true };
        client.upload(&upload).await.context("filling the library")?;
    }
    Ok(())
}

fn file_name(number: u64) -> String {
    format!("tool-{number}.bin")
}

/// Looks at all open actions again and again: of one class of one machine there is at most one.
pub(super) async fn overview(shared: Shared) {
    let filter = ActionFilter { statuses: vec!["InProgress".into()], ..ActionFilter::default() };
    while !shared.book.given_up.load(Ordering::SeqCst) {
        tokio::time::sleep(OVERVIEW_EVERY).await;
        let asked_ns = marks::now_ns();
        let Ok(Ok(listed)) = tokio::time::timeout(PATIENCE, shared.world.client.actions(&filter, LISTED_MAX)).await
        else {
            continue;
        };
        let at_ns = marks::now_ns();
        let mut open: Vec<(String, bool, String)> = Vec::new();
        for found in listed.split() {
            let action = found.item;
            let is_shell = action.r#type == Kind::LiveResponse.wire();
            if let Some((_, _, other)) =
                open.iter().find(|(id, shell, _)| *id == action.machine_id && *shell == is_shell)
            {
                let what = format!("{other} is open on the same machine, of the same class");
                shared.book.violation(None, Some(&action.id), what);
            }
            shared.book.heard(&action.id, &Answered { asked_ns, at_ns, json: found.json });
            open.push((action.machine_id, is_shell, action.id));
        }
    }
}

/// One worker: of one machine and one class.
pub(super) struct Worker {
    shared: Shared,
    machine: usize,
    dice: Dice,
    number: u64,
    network: Network,
}

impl Worker {
    /// A worker of this machine.
    pub(super) fn new(shared: Shared, machine: usize, dice: Dice) -> Self {
        Self { shared, machine, dice, number: 0, network: Network::Known(None) }
    }

    /// Isolates and releases until nobody waits any more.
    ///
    /// # Errors
    /// The machine cannot be looked at.
    pub(super) async fn network(mut self) -> anyhow::Result<()> {
        while self.admitted().await {
            let book = Arc::clone(&self.shared.book);
            let _working = book.work();
            let first = if self.dice.below(2) == 0 { Kind::Isolate } else { Kind::Release };
            let second = if first == Kind::Isolate { Kind::Release } else { Kind::Isolate };
            let mut ids = Vec::new();
            // The second waits for the first: they need the same thing.
            for kind in [first, second].into_iter().take(if self.dice.below(4) == 0 { 2 } else { 1 }) {
                let wish = self.wish(kind);
                ids.extend(self.create(wish).await);
            }
            let lives = self.follow(&ids).await;
            self.look_at_table(&lives).await?;
        }
        Ok(())
    }

    /// Puts files and runs scripts until nobody waits any more.
    ///
    /// # Errors
    /// The machine cannot be looked at.
    pub(super) async fn shell(mut self) -> anyhow::Result<()> {
        while self.admitted().await {
            let book = Arc::clone(&self.shared.book);
            let _working = book.work();
            let mut wish = self.wish(Kind::LiveResponse);
            let throw = self.dice.below(10);
            if throw < 9 {
                wish.witness = Some(self.shared.world.witnesses().join(&wish.comment));
            }
            if throw >= 6 {
                wish.puts = Some(file_name(self.number % FILES));
            }
            let Some(id) = self.create(wish).await else { continue };
            let lives = self.follow(&[id]).await;
            for life in lives {
                self.look_at_file(&life)?;
            }
        }
        Ok(())
    }

    /// Waits for leave to ask for more; false: it is over.
    async fn admitted(&mut self) -> bool {
        tokio::time::sleep(self.dice.within(THINKING)).await;
        let opened = self.shared.gate.wait_for(|open| *open).await.is_ok();
        opened && !self.shared.book.given_up.load(Ordering::SeqCst)
    }

    fn wish(&mut self, kind: Kind) -> Wish {
        self.number += 1;
        let class = if kind == Kind::LiveResponse { "shell" } else { "net" };
        let comment = format!("{class}-{}-{:05}", self.machine, self.number);
        Wish { machine: self.machine, kind, comment, witness: None, puts: None, asked_ns: marks::now_ns() }
    }

    /// Asks for it; none: it is not there.
    async fn create(&mut self, wish: Wish) -> Option<String> {
        let patience = if self.dice.below(12) == 0 { IMPATIENCE } else { PATIENCE };
        let lives_ms = [60, 300, 1200, 4000][usize::try_from(self.dice.below(4)).unwrap_or(0)];
        let lives_ms = lives_ms / 2 + self.dice.below(lives_ms);
        let client = self.shared.world.client.clone();
        let machine = self.shared.world.machines[self.machine].id.clone();
        let asked = async {
            match wish.kind {
                Kind::Isolate => client.isolate(&machine, &wish.comment).await,
                Kind::Release => client.release(&machine, &wish.comment).await,
                Kind::LiveResponse => client.live_response(&machine, &wish.comment, &commands(&wish, lives_ms)?).await,
            }
        };
        match ask(&self.shared.book, patience, asked).await {
            Reply::Answered(answered, action) => {
                self.shared.book.begin(&action.id, wish);
                self.shared.book.heard(&action.id, &answered);
                Some(action.id)
            }
            Reply::Lost => {
                self.shared.book.counts.lost.fetch_add(1, Ordering::Relaxed);
                self.shared.book.doubt(wish.clone());
                self.search(&wish).await
            }
            Reply::NotNow => {
                tokio::time::sleep(AGAIN_AFTER).await;
                None
            }
            Reply::Refused(ClientError::Api { ref code, .. }) if code == "ActiveRequestAlreadyExists" => {
                // One that was in doubt and came to be after all, or nothing that may be.
                self.find(&wish).await
            }
            Reply::Refused(error) => {
                self.shared.book.violation(Some(self.machine), None, format!("a creation was refused: {error}"));
                tokio::time::sleep(AGAIN_AFTER).await;
                None
            }
        }
    }

    /// Looks for an action whose creation is in doubt until it is there, or looks like not there.
    async fn search(&mut self, wish: &Wish) -> Option<String> {
        let mut looks = 0;
        while looks < DOUBT_LOOKS && !self.shared.book.given_up.load(Ordering::SeqCst) {
            tokio::time::sleep(DOUBT_PAUSE).await;
            match self.look_for(wish).await {
                Some(Some(id)) => return Some(id),
                Some(None) => looks += 1,
                None => {}
            }
        }
        None
    }

    /// An active one that was in doubt.
    async fn find(&mut self, wish: &Wish) -> Option<String> {
        let found = self.look_for(wish).await;
        tokio::time::sleep(AGAIN_AFTER).await;
        found.flatten()
    }

    /// Looks at the machine's open actions and at those in doubt. None: there was no answer.
    async fn look_for(&mut self, wish: &Wish) -> Option<Option<String>> {
        let filter = ActionFilter {
            machine_id: Some(self.shared.world.machines[self.machine].id.clone()),
            ..ActionFilter::default()
        };
        let client = self.shared.world.client.clone();
        let listed = tokio::time::timeout(PATIENCE, client.actions(&filter, LISTED_MAX)).await.ok()?.ok()?;
        let doubts = self.shared.book.in_doubt(wish);
        let mut newest = None;
        for found in listed.item {
            let comment = &found.requestor_comment;
            if !doubts.contains(comment) {
                continue;
            }
            let is_new = self.shared.book.life(&found.id).is_none();
            if self.shared.book.adopt(&found.id, comment) && is_new {
                // Nobody followed it: what it did to the network is found by looking.
                self.network = Network::Unknown;
                newest.get_or_insert(found.id);
            }
        }
        Some(newest)
    }

    /// Follows actions to their ends, cancelling some; returns those that ended.
    async fn follow(&mut self, ids: &[String]) -> Vec<Life> {
        let mut tasks = Vec::new();
        for id in ids {
            for (number, after) in self.cancels().into_iter().enumerate() {
                let (shared, id) = (self.shared.clone(), id.clone());
                let impatient = self.dice.below(8) == 0;
                let comment = format!("stop {number}");
                tasks.push(tokio::spawn(async move { cancel(&shared, &id, comment, after, impatient).await }));
            }
        }
        for id in ids {
            self.watch(id).await;
        }
        for task in tasks {
            if let Err(error) = task.await {
                self.shared.book.violation(Some(self.machine), None, format!("a client panicked: {error}"));
            }
        }
        ids.iter().filter_map(|id| self.shared.book.life(id)).filter(|life| life.ended_ns.is_some()).collect()
    }

    /// When to cancel, after the creation: not at all, once, or twice.
    fn cancels(&mut self) -> Vec<Duration> {
        let limits = [Duration::from_millis(40), Duration::from_millis(400), Duration::from_secs(3)];
        let mut moment = || {
            let limit = limits[usize::try_from(self.dice.below(3)).unwrap_or(0)];
            self.dice.within(limit)
        };
        let moments = [moment(), moment()];
        let count = [0, 0, 1, 1, 1, 1, 1, 2][usize::try_from(self.dice.below(8)).unwrap_or(0)];
        moments.into_iter().take(count).collect()
    }

    /// Looks at an action until its end.
    async fn watch(&mut self, id: &str) {
        let client = self.shared.world.client.clone();
        while !self.shared.book.given_up.load(Ordering::SeqCst) {
            match ask(&self.shared.book, PATIENCE, client.action(id)).await {
                Reply::Answered(answered, _) => {
                    self.shared.book.heard(id, &answered);
                    if self.shared.book.life(id).is_some_and(|life| life.ended_ns.is_some()) {
                        return;
                    }
                }
                Reply::Refused(error) => {
                    self.shared.book.violation(Some(self.machine), Some(id), format!("it cannot be read: {error}"));
                }
                Reply::Lost | Reply::NotNow => {}
            }
            tokio::time::sleep(LOOK_EVERY.0 + self.dice.within(LOOK_EVERY.1)).await;
        }
    }

    /// The table must be what the last network action that succeeded made it.
    async fn look_at_table(&mut self, lives: &[Life]) -> anyhow::Result<()> {
        let (world, machine) = (Arc::clone(&self.shared.world), self.machine);
        let table = tokio::task::spawn_blocking(move || world.isolated_by(machine)).await??;
        let network = std::mem::replace(&mut self.network, Network::Unknown).after(lives);
        if let Some(what) = network.compare(&table) {
            let last = lives.last().map(|life| life.id.clone());
            let wish = self.wish(Kind::Isolate);
            // One whose creation was in doubt may have come and gone meanwhile.
            self.network = network;
            self.look_for(&wish).await;
            if self.network != Network::Unknown {
                self.shared.book.violation(Some(machine), last.as_deref(), what);
            }
        }
        self.shared.book.counts.tables.fetch_add(1, Ordering::Relaxed);
        self.network = Network::Known(table);
        Ok(())
    }

    /// A file that was to be put is there after success, and only then.
    fn look_at_file(&self, life: &Life) -> anyhow::Result<()> {
        let Some(name) = &life.wish.puts else { return Ok(()) };
        let content = self.shared.world.downloaded(self.machine, name)?;
        if let Some(what) = judge::judge_file(life, content.as_deref(), name.as_bytes()) {
            self.shared.book.violation(Some(self.machine), Some(&life.id), what);
        }
        if content.is_some() {
            self.shared.world.remove_download(self.machine, name)?;
        }
        self.shared.book.counts.files.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn commands(wish: &Wish, lives_ms: u64) -> Result<Vec<CommandWords>, ClientError> {
    let param = |key: &str, value: &str| Param { key: key.into(), value: value.into() };
    let mut commands = Vec::new();
    if let Some(name) = &wish.puts {
        commands.push(CommandWords { r#type: "PutFile".into(), params: vec![param("FileName", name)] });
    }
    if let Some(witness) = &wish.witness {
        let program = playground::own_program().map_err(|error| ClientError::Config(error.to_string()))?;
        let args = format!("{program} {} {lives_ms}", witness.display());
        let params = vec![param("ScriptName", SCRIPT_NAME), param("Args", &args)];
        commands.push(CommandWords { r#type: "RunScript".into(), params });
    }
    Ok(commands)
}
