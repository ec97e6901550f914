-- A machine can be enrolled again under its own record, on an operator's word only.

-- The machine on record that a token enrols again; none: it enrols new ones.
ALTER TABLE enrol_tokens ADD COLUMN machine INTEGER REFERENCES machines (number)
    CHECK (machine IS NULL OR uses_max <= 1);

CREATE TRIGGER enrol_tokens_stay_with_their_machine
BEFORE UPDATE ON enrol_tokens
WHEN NEW.machine IS NOT OLD.machine
BEGIN
    SELECT RAISE(ABORT, 'an enrolment token stays with its machine');
END;

-- What an earlier enrolment was granted ends with it, and its sessions are fenced.
CREATE TRIGGER machines_are_enrolled_again_with_nothing_open
BEFORE UPDATE ON machines
WHEN NEW.incarnation > OLD.incarnation AND (NEW.session <= OLD.session
    OR EXISTS (SELECT 1 FROM actions WHERE machine = OLD.number AND stage IN ('Granted', 'Stopping')))
BEGIN
    SELECT RAISE(ABORT, 'a machine is enrolled again in a new session, and with nothing open on it');
END;
