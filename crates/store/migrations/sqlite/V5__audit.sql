-- The audit log, and the keys under which callers repeat a request without doing it twice.

-- Who asked for what, over the whole installation. Each line holds the hash of all before it; what is hashed, and in
-- which order, stands in the domain's `audit.rs`.
CREATE TABLE audit (
    sequence     INTEGER PRIMARY KEY CHECK (sequence >= 1),
    at           INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    caller       TEXT    NOT NULL,
    address      TEXT,
    operation    TEXT    NOT NULL,
    machine      TEXT,
    action       TEXT,
    object       TEXT,
    outcome      TEXT    NOT NULL,
    status       INTEGER,
    code         TEXT,
    correlation  TEXT,
    comment      BLOB    CHECK (length(comment) = 32),
    content      BLOB    CHECK (length(content) = 32),
    times        INTEGER NOT NULL CHECK (times >= 1),
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    CHECK ((outcome = 'Refused') = (status IS NOT NULL) AND (status IS NULL) = (code IS NULL))
) STRICT;

CREATE TRIGGER audit_lines_never_change
BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

CREATE TRIGGER audit_lines_stay
BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

CREATE TRIGGER audit_lines_follow
BEFORE INSERT ON audit
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'a line of the audit log comes after the last');
END;

-- One row: how far the log goes. A log that was cut off at its end does not reach it.
CREATE TABLE audit_head (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    sequence  INTEGER NOT NULL,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO audit_head (only, sequence, hash) VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_head_rises
BEFORE UPDATE ON audit_head
WHEN NEW.sequence <= OLD.sequence OR NEW.only <> 1
BEGIN
    SELECT RAISE(ABORT, 'the head of the audit log only rises');
END;

CREATE TRIGGER audit_head_stays
BEFORE DELETE ON audit_head
BEGIN
    SELECT RAISE(ABORT, 'the head of the audit log stays');
END;

-- What a caller asked for under a key, and the action it led to.
CREATE TABLE idempotency_keys (
    caller      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    request     BLOB    NOT NULL CHECK (length(request) = 32),
    action      INTEGER NOT NULL REFERENCES actions (number),
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);

CREATE TRIGGER idempotency_keys_never_change
BEFORE UPDATE ON idempotency_keys
BEGIN
    SELECT RAISE(ABORT, 'what a key stands for never changes');
END;

-- The live responses that are not final: there is a limit on how many there are at once.
CREATE INDEX live_responses_live ON actions (kind)
WHERE kind = 'LiveResponse' AND stage IN ('Pending', 'Granted', 'Stopping');
