//! The statements that every engine understands. `number` is a row's integer key inside the database.

/// The stages that are not final. In the words of the partial indexes, or they would not be used.
macro_rules! live {
    () => {
        "stage IN ('Pending', 'Granted', 'Stopping')"
    };
}

/// The stages in which a grant is alive. In the words of the partial index.
macro_rules! open {
    () => {
        "stage IN ('Granted', 'Stopping')"
    };
}

/// The columns of an action; `a` is the action, `m` its machine.
macro_rules! select_action_columns {
    () => {
        "SELECT a.id, m.id, a.body, a.requestor, a.comment, a.source, a.external_id, a.created_at, a.updated_at, \
         a.expires_at, a.revision, a.stage, a.grant_epoch, a.grant_journal, a.cancel_requestor, a.cancel_comment, \
         a.cancel_at, a.timed_out_why, a.testimony "
    };
}

/// What an action is read from.
macro_rules! select_action {
    () => {
        concat!(select_action_columns!(), "FROM actions a JOIN machines m ON m.number = a.machine ")
    };
}

pub(crate) const MACHINE_NUMBER: &str = "SELECT number FROM machines WHERE id = $1";

pub(crate) const INSERT_ACTION: &str = concat!(
    "INSERT INTO actions (id, machine, kind, class, body, requestor, comment, source, external_id, created_at, \
     updated_at, expires_at, revision, stage, grant_epoch, grant_journal, cancel_requestor, cancel_comment, cancel_at, \
     timed_out_why, testimony, scope) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
     $18, $19, $20, $21, $22) ON CONFLICT (machine, kind) WHERE ",
    live!(),
    " DO NOTHING RETURNING number"
);

pub(crate) const NEWEST_UPDATE: &str = "SELECT max(updated_at) FROM actions";

pub(crate) const LIVE_OF_KIND: &str = concat!("SELECT id FROM actions WHERE machine = $1 AND kind = $2 AND ", live!());

pub(crate) const STANDING: &str = "SELECT number, revision, stage, machine FROM actions WHERE id = $1";

pub(crate) const MACHINE_SESSION: &str = "SELECT session FROM machines WHERE number = $1";

/// Of the other live actions of a class on a machine: one that is open, or ($4) that was requested earlier.
pub(crate) const CLASS_BUSY: &str = concat!(
    "SELECT id FROM actions WHERE machine = $1 AND class = $2 AND number <> $3 AND ",
    live!(),
    " AND (",
    open!(),
    " OR ($4 AND (created_at < $5 OR (created_at = $5 AND id < $6)))) ORDER BY created_at, id LIMIT 1"
);

pub(crate) const UPDATE_ACTION: &str = "UPDATE actions SET updated_at = $1, revision = $2, stage = $3, \
     grant_epoch = $4, grant_journal = $5, cancel_requestor = $6, cancel_comment = $7, cancel_at = $8, \
     timed_out_why = $9, testimony = $10 WHERE number = $11";

pub(crate) const ACTION: &str = concat!(select_action!(), "WHERE a.id = $1");

pub(crate) const LIVE_ACTIONS: &str = concat!(
    select_action!(),
    "WHERE a.machine = (SELECT number FROM machines WHERE id = $1) AND a.",
    live!(),
    " ORDER BY a.created_at, a.id"
);

pub(crate) const MACHINES_WITH_LIVE: &str =
    concat!("SELECT id FROM machines WHERE number IN (SELECT machine FROM actions WHERE ", live!(), ")");

pub(crate) const OVERDUE_PENDING: &str =
    "SELECT id FROM actions WHERE stage = 'Pending' AND expires_at <= $1 ORDER BY expires_at LIMIT $2";

pub(crate) const OVERDUE_OPEN: &str = concat!(
    "SELECT a.id FROM actions a JOIN machines m ON m.number = a.machine WHERE a.",
    open!(),
    " AND m.last_seen < $1 LIMIT $2"
);

pub(crate) const LAST_LINE: &str =
    "SELECT sequence, hash FROM history WHERE action = $1 ORDER BY sequence DESC LIMIT 1";

pub(crate) const FACT_KNOWN: &str =
    "SELECT 1 FROM history WHERE action = $1 AND journal = $2 AND fact = $3 AND fact IS NOT NULL";

pub(crate) const INSERT_LINE: &str = "INSERT INTO history (action, sequence, at, source, what, stage, moved_to, \
     journal, fact, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

pub(crate) const HISTORY: &str = "SELECT h.sequence, h.at, h.source, h.what, h.stage, h.journal, h.fact, h.hash \
     FROM history h WHERE h.action = (SELECT number FROM actions WHERE id = $1) ORDER BY h.sequence";

pub(crate) const MOVES: &str =
    "SELECT moved_to FROM history WHERE action = $1 AND moved_to IS NOT NULL ORDER BY sequence";

pub(crate) const CHUNK_OF_ACTIONS: &str =
    "SELECT number, id, stage FROM actions WHERE number > $1 ORDER BY number LIMIT $2";

pub(crate) const OPEN_TWICE: &str = concat!(
    "SELECT m.id, a.class, count(*) FROM actions a JOIN machines m ON m.number = a.machine WHERE a.",
    open!(),
    " GROUP BY a.machine, a.class HAVING count(*) > 1"
);

pub(crate) const INSERT_MACHINE: &str = "INSERT INTO machines (id, name, name_folded, incarnation, session, \
     first_seen, last_seen, told, tags) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// What a machine is read from.
macro_rules! select_machine {
    () => {
        "SELECT id, name, incarnation, session, first_seen, last_seen, told, tags FROM machines "
    };
}

pub(crate) const MACHINE: &str = concat!(select_machine!(), "WHERE id = $1");

pub(crate) const OPEN_SESSION: &str = "UPDATE machines SET session = session + 1, told = $1, last_seen = $2 \
     WHERE id = $3 AND incarnation = $4 AND session = $5 RETURNING session";

pub(crate) const SEEN: &str = "UPDATE machines SET last_seen = $1 WHERE id = $2";

pub(crate) const TAG: &str = "UPDATE machines SET tags = $1 WHERE id = $2";

pub(crate) const REENROL: &str = "UPDATE machines SET incarnation = $1, session = session + 1, name = $2, \
     name_folded = $3, told = $4, last_seen = $5 WHERE number = $6";

pub(crate) const ENROLLED: &str = "SELECT number, incarnation FROM machines WHERE id = $1";

pub(crate) const OPEN_ON: &str = concat!("SELECT id, revision FROM actions WHERE machine = $1 AND ", open!());

pub(crate) const ENROL_TOKEN: &str = "SELECT t.uses_max, t.uses, t.expires_at, m.id FROM enrol_tokens t \
     LEFT JOIN machines m ON m.number = t.machine WHERE t.digest = $1";

pub(crate) const USE_ENROL_TOKEN: &str = "UPDATE enrol_tokens SET uses = uses + 1 WHERE digest = $1";

pub(crate) const PUT_ENROL_TOKEN: &str = "INSERT INTO enrol_tokens (digest, uses_max, expires_at, machine) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO UPDATE SET uses_max = excluded.uses_max, \
     expires_at = excluded.expires_at, machine = excluded.machine";

pub(crate) const PUT_APPLICATION: &str = "INSERT INTO applications (client_id, name, secret_hash, permissions, \
     created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, \
     secret_hash = excluded.secret_hash, permissions = excluded.permissions, created_at = excluded.created_at";

pub(crate) const APPLICATION: &str =
    "SELECT client_id, name, secret_hash, permissions, created_at FROM applications WHERE client_id = $1";

pub(crate) const PUT_CONTENT: &str =
    "INSERT INTO library_contents (sha256, content) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING";

pub(crate) const LIBRARY_FILE_CONTENT: &str = "SELECT sha256 FROM library_files WHERE name = $1";

/// A replaced file keeps the time of its first upload.
pub(crate) const PUT_LIBRARY_FILE: &str = "INSERT INTO library_files (name, sha256, size_bytes, description, \
     parameters_description, has_parameters, created_by, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, \
     size_bytes = excluded.size_bytes, description = excluded.description, \
     parameters_description = excluded.parameters_description, has_parameters = excluded.has_parameters, \
     created_by = excluded.created_by, updated_at = excluded.updated_at";

pub(crate) const LIBRARY_FILES: &str = "SELECT name, sha256, size_bytes, description, parameters_description, \
     has_parameters, created_by, created_at, updated_at FROM library_files ORDER BY name";

pub(crate) const LIBRARY_CONTENT: &str = "SELECT content FROM library_contents WHERE sha256 = $1";

pub(crate) const DELETE_LIBRARY_FILE: &str = "DELETE FROM library_files WHERE name = $1 RETURNING sha256";

pub(crate) const USE_CONTENT: &str =
    "INSERT INTO library_uses (action, sha256) VALUES ($1, $2) ON CONFLICT (action, sha256) DO NOTHING";

pub(crate) const END_USES: &str = "DELETE FROM library_uses WHERE action = $1 RETURNING sha256";

/// Forgets a content that neither a file nor an action that is not final names.
pub(crate) const FORGET_CONTENT: &str = "DELETE FROM library_contents WHERE sha256 = $1 \
     AND NOT EXISTS (SELECT 1 FROM library_files f WHERE f.sha256 = library_contents.sha256) \
     AND NOT EXISTS (SELECT 1 FROM library_uses u WHERE u.sha256 = library_contents.sha256)";

pub(crate) const APPEND_AUDIT: &str = "INSERT INTO audit (sequence, at, kind, caller, address, operation, machine, \
     action, object, outcome, status, code, correlation, comment, content, times, hash) VALUES ($1, $2, $3, $4, $5, $6, \
     $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

pub(crate) const AUDIT_LINES: &str = "SELECT sequence, at, kind, caller, address, operation, machine, action, object, \
     outcome, status, code, correlation, comment, content, times, hash FROM audit WHERE sequence > $1 \
     ORDER BY sequence LIMIT $2";

pub(crate) const AUDIT_HEAD: &str = "SELECT sequence, hash FROM audit_head WHERE only = 1";

pub(crate) const SET_AUDIT_HEAD: &str = "UPDATE audit_head SET sequence = $1, hash = $2 WHERE only = 1";

pub(crate) const KEY: &str = "SELECT k.request, a.id FROM idempotency_keys k JOIN actions a ON a.number = k.action \
     WHERE k.caller = $1 AND k.key = $2 AND k.expires_at > $3";

pub(crate) const FORGET_KEY: &str = "DELETE FROM idempotency_keys WHERE caller = $1 AND key = $2";

pub(crate) const KEEP_KEY: &str =
    "INSERT INTO idempotency_keys (caller, key, request, action, expires_at) VALUES ($1, $2, $3, $4, $5)";

pub(crate) const FORGET_KEYS: &str = "DELETE FROM idempotency_keys WHERE (caller, key) IN (SELECT caller, key \
     FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// In the words of the partial index.
pub(crate) const LIVE_RESPONSES: &str =
    concat!("SELECT count(*) FROM actions WHERE kind = 'LiveResponse' AND ", live!());

pub(crate) const SETTING: &str = "SELECT value FROM settings WHERE name = $1";

pub(crate) const PUT_SETTING: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

pub(crate) const COMMIT_NUMBER: &str = "SELECT number FROM commits WHERE only = 1";

pub(crate) const SET_COMMIT_NUMBER: &str = "UPDATE commits SET number = $1 WHERE only = 1";

/// What actions are listed from. Crossed: else the machines may be walked first, and the actions be sorted.
pub(crate) const LISTED_ACTIONS: &str =
    concat!(select_action_columns!(), "FROM actions a CROSS JOIN machines m ON m.number = a.machine ");

/// Narrows a list to what is live, in the words of the partial index.
pub(crate) const AND_LIVE: &str = concat!(" AND a.", live!());

/// What machines are listed from.
pub(crate) const LISTED_MACHINES: &str = select_machine!();
