-- Lists can be filtered and sorted by every property of an action, and paged by when it last changed.

-- Scopes are written when an action is requested. These three stand back while those that are on record get theirs.
DROP TRIGGER actions_final_never_change;
DROP TRIGGER actions_revision_rises_by_one;
DROP TRIGGER actions_request_never_changes;

ALTER TABLE actions ADD COLUMN scope TEXT;

UPDATE actions SET scope = json_extract(body, '$.Isolate.scope') WHERE kind = 'Isolate';

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
BEFORE UPDATE OF number, id, machine, kind, class, body, requestor, comment, source, external_id, created_at,
    expires_at, scope
ON actions
BEGIN
    SELECT RAISE(ABORT, 'what was requested never changes');
END;

CREATE INDEX actions_by_creation ON actions (created_at, id);
CREATE INDEX actions_by_stage ON actions (stage, created_at, id);
CREATE INDEX actions_by_kind ON actions (kind, created_at, id);
DROP INDEX actions_of_machine;
CREATE INDEX actions_of_machine ON actions (machine, created_at, id);

-- Whoever asks for what changed after the last change it saw must miss none: each change is stamped later than all
-- before it, in the order of the commits.
CREATE INDEX actions_by_update ON actions (updated_at, id);

CREATE TRIGGER actions_begin_later_than_all_changes
AFTER INSERT ON actions
WHEN EXISTS (SELECT 1 FROM actions WHERE updated_at >= NEW.updated_at AND number <> NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'a change is stamped later than every change before it');
END;

CREATE TRIGGER actions_change_later_than_all_changes
AFTER UPDATE ON actions
WHEN NEW.updated_at <= OLD.updated_at
    OR EXISTS (SELECT 1 FROM actions WHERE updated_at >= NEW.updated_at AND number <> NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'a change is stamped later than every change before it');
END;
