-- What is on record, and what may never be.
--
-- Times are ticks of 100 ns since 1970-01-01T00:00:00Z. Ids are their bytes. Each main table has an integer key inside:
-- rows lie in the order of their arrival, and the other tables need not repeat a long id.

CREATE TABLE machines (
    number       INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 20),
    name         TEXT    NOT NULL,
    -- The name in lower case: names are asked for without regard to case.
    name_folded  TEXT    NOT NULL,
    incarnation  INTEGER NOT NULL,
    session      INTEGER NOT NULL,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    told         TEXT    NOT NULL
) STRICT;

CREATE INDEX machines_by_name ON machines (name_folded, id);

CREATE TRIGGER machines_never_go_back
BEFORE UPDATE ON machines
WHEN NEW.session < OLD.session OR NEW.incarnation < OLD.incarnation OR NEW.id IS NOT OLD.id
BEGIN
    SELECT RAISE(ABORT, 'a machine keeps its id, and its session and incarnation only rise');
END;

CREATE TABLE actions (
    number            INTEGER PRIMARY KEY,
    id                BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    machine           INTEGER NOT NULL REFERENCES machines (number),
    kind              TEXT    NOT NULL,
    class             TEXT    NOT NULL,
    body              TEXT    NOT NULL,
    requestor         TEXT    NOT NULL,
    comment           TEXT    NOT NULL,
    source            TEXT    NOT NULL,
    external_id       TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    stage             TEXT    NOT NULL
        CHECK (stage IN ('Pending', 'Granted', 'Stopping', 'Succeeded', 'Failed', 'TimedOut', 'Cancelled')),
    grant_epoch       INTEGER,
    grant_journal     BLOB    CHECK (length(grant_journal) = 16),
    cancel_requestor  TEXT,
    cancel_comment    TEXT,
    cancel_at         INTEGER,
    timed_out_why     TEXT,
    testimony         TEXT,
    CHECK ((grant_epoch IS NULL) = (grant_journal IS NULL)),
    CHECK ((cancel_at IS NULL) = (cancel_requestor IS NULL) AND (cancel_at IS NULL) = (cancel_comment IS NULL)),
    -- A stage has exactly the data that exists in it.
    CHECK (stage <> 'Pending' OR (grant_epoch IS NULL AND cancel_at IS NULL)),
    CHECK (stage <> 'Granted' OR (grant_epoch IS NOT NULL AND cancel_at IS NULL)),
    CHECK (stage <> 'Stopping' OR (grant_epoch IS NOT NULL AND cancel_at IS NOT NULL)),
    CHECK ((stage = 'TimedOut') = (timed_out_why IS NOT NULL)),
    CHECK (stage NOT IN ('Succeeded', 'Failed') OR (grant_epoch IS NOT NULL AND testimony IS NOT NULL)),
    CHECK (testimony IS NULL OR stage IN ('Succeeded', 'Failed', 'Cancelled')),
    -- Cancelled is said only when it is true: no grant was ever given, or its holder testifies.
    CHECK (stage <> 'Cancelled' OR (cancel_at IS NOT NULL AND (grant_epoch IS NULL) = (testimony IS NULL)))
) STRICT;

CREATE INDEX actions_of_machine ON actions (machine);

-- At most one action of a kind that is not final, per machine. Also finds what is live.
CREATE UNIQUE INDEX actions_live ON actions (machine, kind)
WHERE stage IN ('Pending', 'Granted', 'Stopping');

-- At most one open action of a resource class, per machine. Also finds what is open.
CREATE UNIQUE INDEX actions_open ON actions (machine, class)
WHERE stage IN ('Granted', 'Stopping');

CREATE INDEX actions_pending ON actions (expires_at)
WHERE stage = 'Pending';

CREATE TRIGGER actions_begin_pending
BEFORE INSERT ON actions
WHEN NEW.stage <> 'Pending' OR NEW.revision <> 1
BEGIN
    SELECT RAISE(ABORT, 'an action begins Pending, at revision 1');
END;

CREATE TRIGGER actions_final_never_change
BEFORE UPDATE ON actions
WHEN OLD.stage IN ('Succeeded', 'Failed', 'TimedOut', 'Cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a final action never changes');
END;

CREATE TRIGGER actions_revision_rises_by_one
BEFORE UPDATE ON actions
WHEN NEW.revision <> OLD.revision + 1
BEGIN
    SELECT RAISE(ABORT, 'the revision of an action rises by one with every change');
END;

CREATE TRIGGER actions_request_never_changes
BEFORE UPDATE OF number, id, machine, kind, class, body, requestor, comment, source, external_id, created_at, expires_at
ON actions
BEGIN
    SELECT RAISE(ABORT, 'what was requested never changes');
END;

CREATE TRIGGER actions_cancel_is_written_once
BEFORE UPDATE ON actions
WHEN OLD.cancel_at IS NOT NULL AND (NEW.cancel_at IS NOT OLD.cancel_at
    OR NEW.cancel_requestor IS NOT OLD.cancel_requestor OR NEW.cancel_comment IS NOT OLD.cancel_comment)
BEGIN
    SELECT RAISE(ABORT, 'an accepted cancel never changes');
END;

CREATE TRIGGER actions_no_grant_after_cancel
BEFORE UPDATE ON actions
WHEN (OLD.cancel_at IS NOT NULL OR OLD.stage = 'Stopping')
    AND (NEW.grant_epoch IS NOT OLD.grant_epoch OR NEW.grant_journal IS NOT OLD.grant_journal)
BEGIN
    SELECT RAISE(ABORT, 'there is no grant after a cancel');
END;

CREATE TRIGGER actions_grant_stays_with_its_journal
BEFORE UPDATE ON actions
WHEN OLD.grant_epoch IS NOT NULL
    AND (NEW.grant_epoch IS NULL OR NEW.grant_epoch < OLD.grant_epoch OR NEW.grant_journal IS NOT OLD.grant_journal)
BEGIN
    SELECT RAISE(ABORT, 'a grant stays with its journal, and its epoch only rises');
END;

CREATE TRIGGER actions_stay
BEFORE DELETE ON actions
BEGIN
    SELECT RAISE(ABORT, 'an action is never deleted');
END;

CREATE TABLE history (
    action    INTEGER NOT NULL REFERENCES actions (number),
    sequence  INTEGER NOT NULL CHECK (sequence >= 1),
    at        INTEGER NOT NULL,
    source    TEXT    NOT NULL,
    what      TEXT    NOT NULL,
    stage     TEXT    NOT NULL,
    -- The stage that the change moved the action to; stands on the last line of such a change and nowhere else.
    moved_to  TEXT    CHECK (moved_to IS NULL OR moved_to = stage),
    -- For a machine's fact: the journal, and the record's number in it. The number has 64 bits and no sign; it stands
    -- here in two's complement, and is only ever compared for equality.
    journal   BLOB,
    fact      INTEGER,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (action, sequence),
    CHECK ((journal IS NULL) = (fact IS NULL))
) STRICT, WITHOUT ROWID;

-- An action ends once.
CREATE UNIQUE INDEX history_one_end ON history (action)
WHERE moved_to IN ('Succeeded', 'Failed', 'TimedOut', 'Cancelled');

-- A fact told twice is stored once.
CREATE UNIQUE INDEX history_facts ON history (action, journal, fact)
WHERE fact IS NOT NULL;

CREATE TRIGGER history_lines_never_change
BEFORE UPDATE ON history
BEGIN
    SELECT RAISE(ABORT, 'the history is only ever added to');
END;

CREATE TRIGGER history_lines_stay
BEFORE DELETE ON history
BEGIN
    SELECT RAISE(ABORT, 'the history is only ever added to');
END;

CREATE TABLE enrol_tokens (
    digest      BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    uses_max    INTEGER NOT NULL,
    uses        INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0),
    expires_at  INTEGER NOT NULL
) STRICT;

-- The uses that are left can be fewer than none after a token was added again with a lower limit, but a use past the
-- limit is refused.
CREATE TRIGGER enrol_tokens_are_used_up
BEFORE UPDATE OF uses ON enrol_tokens
WHEN NEW.uses > OLD.uses AND NEW.uses > NEW.uses_max
BEGIN
    SELECT RAISE(ABORT, 'an enrolment token is used at most as often as it may be');
END;

CREATE TABLE applications (
    client_id    TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    secret_hash  TEXT    NOT NULL,
    permissions  TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE library_contents (
    number   INTEGER PRIMARY KEY,
    sha256   BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    content  BLOB NOT NULL
) STRICT;

CREATE TABLE library_files (
    name                    TEXT    NOT NULL PRIMARY KEY,
    sha256                  BLOB    NOT NULL REFERENCES library_contents (sha256),
    size_bytes              INTEGER NOT NULL,
    description             TEXT,
    parameters_description  TEXT,
    has_parameters          INTEGER NOT NULL,
    created_by              TEXT    NOT NULL,
    created_at              INTEGER NOT NULL,
    updated_at              INTEGER NOT NULL
) STRICT;

CREATE INDEX library_files_by_content ON library_files (sha256);

-- Which contents the actions that are not final name. No foreign key: an action may name what was never here.
CREATE TABLE library_uses (
    action  INTEGER NOT NULL REFERENCES actions (number),
    sha256  BLOB    NOT NULL,
    PRIMARY KEY (action, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX library_uses_by_content ON library_uses (sha256);

CREATE TABLE settings (
    name   TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: the number of the last commit.
CREATE TABLE commits (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    number  INTEGER NOT NULL
) STRICT;

INSERT INTO commits (only, number) VALUES (1, 0);

CREATE TRIGGER commits_rise
BEFORE UPDATE ON commits
WHEN NEW.number <= OLD.number
BEGIN
    SELECT RAISE(ABORT, 'the commit number only rises');
END;
