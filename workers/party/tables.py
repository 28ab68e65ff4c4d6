"""The tables of a site's store, and what the database itself refuses."""

from __future__ import annotations

MOVES = (
    ("offered", "accepted"),
    ("accepted", "queued"),
    ("queued", "computing"),
    ("computing", "sealed"),
    ("sealed", "opened"),
    # Something was refused; final for the attempt.
    ("offered", "refused"),
    ("accepted", "refused"),
    ("sealed", "refused"),
    # Something broke, or the attempt was cancelled; final for the attempt.
    ("offered", "failed"),
    ("accepted", "failed"),
    ("queued", "failed"),
    ("computing", "failed"),
    ("sealed", "failed"),
)
"""Every way an attempt's state may move. An attempt begins `offered`, or `refused`."""

FINAL = ("opened", "refused", "failed")
"""States that nothing leads out of; an attempt in one of them holds no secret."""

PREPROCESSED = """
CREATE TABLE batches (
    batch TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    peers TEXT NOT NULL,
    pieces INTEGER NOT NULL CHECK (pieces > 0),
    piece_bytes INTEGER NOT NULL CHECK (piece_bytes > 0),
    key BLOB,
    inode INTEGER NOT NULL
);
CREATE TRIGGER batches_are_kept BEFORE DELETE ON batches
BEGIN SELECT RAISE(ABORT, 'a batch is discarded, not deleted'); END;
CREATE TABLE consumed_pieces (
    batch TEXT NOT NULL REFERENCES batches (batch),
    piece INTEGER NOT NULL,
    PRIMARY KEY (batch, piece)
);
CREATE TRIGGER pieces_are_consumed_in_order BEFORE INSERT ON consumed_pieces
WHEN NEW.piece <> (SELECT coalesce(max(piece) + 1, 0) FROM consumed_pieces
                   WHERE batch = NEW.batch)
    OR NEW.piece >= (SELECT pieces FROM batches WHERE batch = NEW.batch)
BEGIN SELECT RAISE(ABORT, 'a piece is consumed once, in order'); END;
CREATE TRIGGER consumed_pieces_stand BEFORE UPDATE ON consumed_pieces
BEGIN SELECT RAISE(ABORT, 'what was consumed stays consumed'); END;
CREATE TRIGGER consumed_pieces_are_kept BEFORE DELETE ON consumed_pieces
BEGIN SELECT RAISE(ABORT, 'what was consumed stays consumed'); END;
"""
"""Added in version 2 of the store."""

RECORD = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, study TEXT NOT NULL, event TEXT NOT NULL, about TEXT NOT NULL,
    leaf BLOB NOT NULL
);
CREATE INDEX entries_by_study ON entries (study) WHERE study <> '';
CREATE INDEX entries_by_subject ON entries (about) WHERE about <> '';
CREATE TABLE log_copy (
    only INTEGER PRIMARY KEY CHECK (only = 1), size INTEGER NOT NULL, chain_hash BLOB NOT NULL,
    subtrees BLOB NOT NULL
);
INSERT INTO log_copy VALUES (1, 0, zeroblob(32), x'');

CREATE TABLE statements (
    digest TEXT PRIMARY KEY, kind TEXT NOT NULL, about TEXT NOT NULL, stops INTEGER NOT NULL,
    source TEXT NOT NULL, envelope TEXT NOT NULL
);
CREATE INDEX statements_by_subject ON statements (about);
CREATE TRIGGER statements_stand BEFORE UPDATE ON statements
BEGIN SELECT RAISE(ABORT, 'a statement does not change'); END;

CREATE TABLE letters_due (
    recipient TEXT NOT NULL, digest TEXT NOT NULL REFERENCES statements (digest),
    number INTEGER NOT NULL DEFAULT 0, arrived INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (recipient, digest)
);
CREATE TABLE correspondents (
    site TEXT PRIMARY KEY, sent INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0,
    heeded INTEGER NOT NULL DEFAULT 0, roster INTEGER NOT NULL DEFAULT 0
);
CREATE TRIGGER letters_are_read_in_order BEFORE UPDATE OF received ON correspondents
WHEN NEW.received < OLD.received
BEGIN SELECT RAISE(ABORT, 'a letter is read once'); END;

CREATE TABLE explanations (
    run TEXT NOT NULL, attempt INTEGER NOT NULL, step TEXT NOT NULL, at TEXT NOT NULL,
    accepted INTEGER NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (run, attempt, step)
);

CREATE TABLE releases (
    run TEXT NOT NULL, attempt INTEGER NOT NULL, envelope TEXT NOT NULL,
    PRIMARY KEY (run, attempt)
);
"""
"""Added in version 3 of the store."""

TABLES = """
CREATE TABLE moves (source TEXT, target TEXT, PRIMARY KEY (source, target));

CREATE TABLE attempts (
    run TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('offered', 'accepted', 'queued', 'computing', 'sealed',
                                         'opened', 'refused', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    session TEXT NOT NULL DEFAULT '',
    study_digest TEXT NOT NULL DEFAULT '',
    consent_digest TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '',
    offer TEXT NOT NULL DEFAULT '',
    private_key BLOB,
    manifest BLOB,
    manifest_digest TEXT NOT NULL DEFAULT '',
    party INTEGER,
    step TEXT NOT NULL DEFAULT '',
    lease TEXT NOT NULL DEFAULT '',
    lease_beats INTEGER NOT NULL DEFAULT 0,
    inputs_loaded INTEGER NOT NULL DEFAULT 0,
    output_share BLOB,
    commitment_salt BLOB,
    certificate TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, attempt),
    CONSTRAINT a_finished_attempt_holds_no_secret CHECK (
        state NOT IN ('opened', 'refused', 'failed')
        OR (private_key IS NULL AND output_share IS NULL AND commitment_salt IS NULL)),
    CONSTRAINT a_sealed_attempt_holds_its_share CHECK (
        state <> 'sealed'
        OR (output_share IS NOT NULL AND commitment_salt IS NOT NULL AND certificate <> ''
            AND private_key IS NULL)),
    CONSTRAINT a_computing_attempt_has_a_lease CHECK (
        state NOT IN ('computing', 'sealed') OR lease <> '')
);
CREATE TRIGGER attempts_begin_at_the_beginning BEFORE INSERT ON attempts
WHEN NEW.state NOT IN ('offered', 'refused')
BEGIN SELECT RAISE(ABORT, 'an attempt begins offered or refused'); END;
CREATE TRIGGER attempts_move_forward BEFORE UPDATE OF state ON attempts
WHEN NOT EXISTS (SELECT 1 FROM moves WHERE source = OLD.state AND target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'an attempt does not move that way'); END;
CREATE TRIGGER attempts_are_kept BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are kept'); END;

CREATE TABLE answers (
    run TEXT NOT NULL, attempt INTEGER NOT NULL, request TEXT NOT NULL, frame TEXT NOT NULL,
    PRIMARY KEY (run, attempt, request)
);
CREATE TRIGGER answers_stand BEFORE UPDATE ON answers
BEGIN SELECT RAISE(ABORT, 'an answer is given once'); END;

CREATE TABLE data_sets (
    name TEXT PRIMARY KEY,
    register_version INTEGER NOT NULL,
    currency TEXT NOT NULL CHECK (currency = 'micro-epsilon'),
    cap INTEGER NOT NULL CHECK (cap >= 0)
);
CREATE TRIGGER data_sets_stand BEFORE UPDATE ON data_sets
BEGIN SELECT RAISE(ABORT, 'a registered data set does not change'); END;
CREATE TRIGGER data_sets_are_kept BEFORE DELETE ON data_sets
BEGIN SELECT RAISE(ABORT, 'a registered data set is kept'); END;

CREATE TABLE charges (
    run TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    data_set TEXT NOT NULL REFERENCES data_sets (name),
    study_digest TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    state TEXT NOT NULL CHECK (state IN ('reserved', 'committed', 'released')),
    PRIMARY KEY (run, attempt)
);
CREATE UNIQUE INDEX a_run_is_charged_once ON charges (run) WHERE state <> 'released';
CREATE TRIGGER charges_stay_under_the_cap BEFORE INSERT ON charges
WHEN NEW.state <> 'reserved' OR NEW.amount
    + (SELECT coalesce(sum(amount), 0) FROM charges
       WHERE data_set = NEW.data_set AND state <> 'released')
    > (SELECT cap FROM data_sets WHERE name = NEW.data_set)
BEGIN SELECT RAISE(ABORT, 'the budget of this data set is exhausted'); END;
CREATE TRIGGER charges_settle_once BEFORE UPDATE ON charges
WHEN OLD.state <> 'reserved' OR NEW.amount <> OLD.amount OR NEW.data_set <> OLD.data_set
    OR NEW.study_digest <> OLD.study_digest
BEGIN SELECT RAISE(ABORT, 'a settled charge does not change'); END;
CREATE TRIGGER charges_are_kept BEFORE DELETE ON charges
BEGIN SELECT RAISE(ABORT, 'charges are kept'); END;

CREATE TABLE cosigned (size INTEGER PRIMARY KEY, root TEXT NOT NULL, line TEXT NOT NULL);
CREATE TRIGGER a_witness_does_not_go_back BEFORE INSERT ON cosigned
WHEN NEW.size <= (SELECT max(size) FROM cosigned)
BEGIN SELECT RAISE(ABORT, 'a witness cosigns larger trees only'); END;
CREATE TRIGGER cosigned_stand BEFORE UPDATE ON cosigned
BEGIN SELECT RAISE(ABORT, 'what was cosigned does not change'); END;

CREATE TABLE rosters (version INTEGER PRIMARY KEY, digest TEXT NOT NULL, envelope TEXT NOT NULL);

CREATE TABLE consents (
    number INTEGER PRIMARY KEY, study_digest TEXT NOT NULL, decision TEXT NOT NULL,
    envelope TEXT NOT NULL
);

CREATE TABLE journal (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, event TEXT NOT NULL, run TEXT NOT NULL,
    attempt INTEGER NOT NULL, detail TEXT NOT NULL
);
"""

TABLES += PREPROCESSED + RECORD
ADDITIONS = {1: PREPROCESSED, 2: RECORD}
"""What a store of an older version lacks, by that version."""
