-- What somebody might do to a database, and what `verify` then says: the invariant and the act, the sentence, the statements.
-- @ann stands for her reference.

-- I1 a row lost
-- says: history 3 before it is missing
DELETE FROM history WHERE subject = '@ann' AND sequence = 3;

-- I1 rows lost
-- says: history 3 to 4 before it is missing
DELETE FROM history WHERE subject = '@ann' AND sequence IN (3, 4);

-- I1 the last row lost
-- says: history rows, and the last is
DELETE FROM history WHERE subject = '@ann' AND sequence = (SELECT sequence FROM subjects WHERE ref = '@ann');

-- I1 all rows lost
-- says: it says 3 history rows, and the last is 0
DELETE FROM history WHERE subject = '@eve';

-- I1 a number twice
-- says: it is there twice
CREATE TABLE loose AS SELECT * FROM history;
DROP TABLE history;
ALTER TABLE loose RENAME TO history;
UPDATE history SET sequence = 2 WHERE subject = '@ann' AND sequence = 3;

-- I1 a subject's count
-- says: it says 99 history rows
UPDATE subjects SET sequence = 99 WHERE ref = '@eve';

-- I2 a case's state
-- says: its state is 'brought', and history says 'ready'
UPDATE cases SET state = 'brought' WHERE ref = '@ready';

-- I2 a case's version
-- says: its version is 7, and history says 0
UPDATE cases SET version = 7 WHERE ref = '@eve';

-- I2 a case's policy
-- says: its policy is 'none at all'
UPDATE cases SET policy = 'none at all' WHERE ref = '@eve';

-- I2 a policy lost
-- says: which is not kept
DELETE FROM policies;

-- I2 a policy's numbers
-- says: whose kept numbers are those of workshop@
UPDATE policies SET body = '{"from":"2025-01-01","name":"workshop","numbers":{"year":7}}';

-- I2 a policy's text
-- says: which cannot be read
UPDATE policies SET body = 'x';

-- I2 a case's since
-- says: its since is 2025-06-01T00:00:00Z
UPDATE cases SET since = '2025-06-01T00:00:00.000000Z' WHERE ref = '@eve';

-- I2 a case's opening
-- says: its opened_at is 2025-06-01T00:00:00Z
UPDATE cases SET opened_at = '2025-06-01T00:00:00.000000Z' WHERE ref = '@hers';

-- I2 a subject's opening
-- says: it was opened at 2025-06-01T00:00:00Z
UPDATE subjects SET opened_at = '2025-06-01T00:00:00.000000Z' WHERE ref = '@eve';

-- I2 a case's facts
-- says: are not those that history tells: bicycle
UPDATE cases SET facts = '{"bicycle":"gold"}' WHERE ref = '@hers';

-- I2 facts that are none
-- says: its facts cannot be read
UPDATE cases SET facts = '[]' WHERE ref = '@hers';

-- I2 facts of the future
-- says: its facts cannot be read
UPDATE cases SET facts_version = 9 WHERE ref = '@hers';

-- I2 settled, and is not
-- says: marked settled, and its state is 'ready'
UPDATE cases SET settled = true WHERE ref = '@ready';

-- I2 not settled, and is
-- says: not marked settled
UPDATE cases SET settled = false WHERE ref = '@done';

-- I2 a case lost
-- says: and left it 'brought'; it is not stored
DELETE FROM cases WHERE ref = '@hers';

-- I2 a case from nowhere
-- says: no history row tells of it
CREATE TABLE twin AS SELECT * FROM cases WHERE ref = '@hers';
UPDATE twin SET ref = 'R-0000-0000';
INSERT INTO cases SELECT * FROM twin;

-- I2 a workflow that is gone
-- says: is not among the workflow files
UPDATE cases SET workflow = 'rental' WHERE ref = '@hers';

-- I2 a state that is gone
-- says: has no such state
UPDATE cases SET state = 'melted' WHERE ref = '@hers';

-- I2 history: facts after
-- says: are not those that history tells
UPDATE history SET facts_after = '{"bicycle":"gold"}' WHERE case_ref = '@hers';

-- I2 history: facts before
-- says: were not so before: visits
UPDATE history SET facts_before = '{"visits":5}' WHERE event = 'count_visit';

-- I2 history: state before
-- says: it starts in 'sold', but the row before it left
UPDATE history SET from_state = 'sold' WHERE event = 'finish' AND case_ref = '@ready';

-- I2 history: no opening
-- says: which no row before it opens
UPDATE history SET from_state = 'brought' WHERE event = 'bring' AND case_ref = '@hers';

-- I2 history: two openings
-- says: it opens @ready, which history
UPDATE history SET from_state = NULL WHERE event = 'finish' AND case_ref = '@ready';

-- I2 history: no JSON
-- says: it cannot be read
UPDATE history SET facts_after = '?' WHERE case_ref = '@hers';

-- I2 history: another workflow
-- says: is a club, and it is a repair
UPDATE history SET workflow = 'club' WHERE event = 'finish' AND case_ref = '@ready';

-- I3 an event lost
-- says: was never received
DELETE FROM inbox WHERE type = 'repair.bring' AND case_ref = '@hers';

-- I3 a verdict taken back
-- says: its verdict is 'refused', and it caused history
UPDATE inbox SET verdict = 'refused' WHERE case_ref = '@hers';

-- I3 a verdict that is none
-- says: its verdict 'perhaps' is none
UPDATE inbox SET verdict = 'perhaps' WHERE event_id = 'no';

-- I3 applied without effect
-- says: no history row has it as its cause
UPDATE inbox SET verdict = 'applied' WHERE event_id = 'no';

-- I3 another sequence
-- says: it says that it caused history 88
UPDATE inbox SET sequence = 88 WHERE case_ref = '@hers';

-- I3 another cause
-- says: its cause 'event:x/y' is not its event
UPDATE history SET cause = 'event:x/y' WHERE case_ref = '@hers';

-- I3 a cause without event
-- says: it does not say which event that is
UPDATE history SET source = NULL WHERE case_ref = '@hers';

-- I3 applied twice
-- says: 2 history rows have this cause
CREATE TABLE loose AS SELECT * FROM history;
DROP TABLE history;
ALTER TABLE loose RENAME TO history;
CREATE TABLE twin AS SELECT * FROM history WHERE subject = '@ann' AND sequence = 1;
UPDATE twin SET sequence = (SELECT sequence FROM subjects WHERE ref = '@ann') + 1;
INSERT INTO history SELECT * FROM twin;
UPDATE subjects SET sequence = sequence + 1 WHERE ref = '@ann';

-- I3 a parked body lost
-- says: it is parked and its body was not kept
UPDATE inbox SET body = NULL WHERE event_id = 'early';

-- I3 a quarantined body lost
-- says: it is quarantined and its body was not kept
UPDATE inbox SET body = NULL WHERE event_id = 'bad';

-- I3 parked for nothing
-- says: does not say what it waits for
UPDATE inbox SET waiting_for = NULL WHERE event_id = 'early';

-- I4 a timer lost
-- says: and it is not there
DELETE FROM timers WHERE case_ref = '@ready' AND event = 'sell';

-- I4 a timer moved
-- says: armed for repair.sell at 2025-06-01T00:00:00Z
UPDATE timers SET due_at = '2025-06-01T00:00:00.000000Z' WHERE case_ref = '@ready' AND event = 'sell';

-- I4 a timer's event
-- says: history armed it for repair.sell
UPDATE timers SET event = 'remind' WHERE case_ref = '@ready' AND event = 'sell';

-- I4 a timer's origin
-- says: it says that history 99 armed it
UPDATE timers SET armed_by = 99 WHERE case_ref = '@ready' AND event = 'sell';

-- I4 a timer renamed
-- says: it is armed, and history does not say so
UPDATE timers SET name = 'x' WHERE case_ref = '@ready' AND event = 'sell';

-- I4 history: a drop
-- says: it drops the timer 'x'
UPDATE history SET timers = '{"dropped":["x"]}' WHERE case_ref = '@hers';

-- I4 a message lost
-- says: wrote it, and it is not there
DELETE FROM messages WHERE case_ref = '@ready' AND template = 'repair_ready';

-- I4 a message renamed
-- says: no history row wrote it
UPDATE messages SET key = 'x' WHERE case_ref = '@ready' AND template = 'repair_ready';

-- I4 a message of another case
-- says: it is of @done, and history
UPDATE messages SET case_ref = '@done' WHERE case_ref = '@ready';

-- I4 a message's workflow
-- says: it is of a club
UPDATE messages SET workflow = 'club' WHERE case_ref = '@ready';

-- I4 a message's instant
-- says: it took effect at 2025-06-01T00:00:00Z
UPDATE messages SET effective_at = '2025-06-01T00:00:00.000000Z' WHERE case_ref = '@ready';

-- I4 history: a message twice
-- says: it writes the message @ready:
UPDATE history SET messages = (SELECT messages FROM history WHERE event = 'finish' AND case_ref = '@ready') WHERE event = 'count_visit';

-- I4 a name lost
-- says: history gave it to @done, and it is not stored
DELETE FROM names WHERE value = 'job2';

-- I4 a name changed
-- says: history never gave it that name
UPDATE names SET value = 'K-8' WHERE value = 'K-7';

-- I4 a name's kind
-- says: it is stored as email, and history gave it as card
UPDATE names SET kind = 'email' WHERE value = 'K-7';

-- I4 a name's owner
-- says: it leads to @bob
UPDATE names SET subject = '@bob' WHERE value = 'K-7';

-- I4 a name let go
-- says: alone bears it and it is not stored as exclusive
UPDATE names SET exclusive = false WHERE value = 'K-7';

-- I4 a name held
-- says: its workflow lets several cases bear it
UPDATE names SET exclusive = true WHERE value = 'job2';

-- I4 a name held twice
-- says: it is exclusive, and 2 cases bear it
DROP INDEX names_exclusive;
UPDATE names SET exclusive = true WHERE value = '1';

-- I5 a message's state
-- says: its state 'lost' is none
UPDATE messages SET state = 'lost' WHERE state = 'waiting';

-- I5 more copies than attempts
-- says: 2 copies left in 1 attempts
UPDATE messages SET copies = 2 WHERE state = 'sent';

-- I5 sent without proof
-- says: it was sent, and has no sent_at, content_hash, message_id, copies
UPDATE messages SET state = 'sent' WHERE state = 'waiting';

-- I5 stuck in sending
-- says: still marked as being sent
UPDATE messages SET state = 'sending' WHERE template = 'repair_ready';

-- I5 other bytes
-- says: its bytes are not those of its content_hash
UPDATE messages SET content_hash = 'x' WHERE state = 'sent';

-- I5 bytes without an id
-- says: its Message-ID is not
UPDATE messages SET message_id = NULL WHERE state = 'sent';

-- I6 fired early
-- says: fired early: recorded at 2025-01-06T10:00:00Z
UPDATE history SET recorded_at = '2025-01-06T10:00:00.000000Z' WHERE event = 'remind';

-- I6 took effect later
-- says: it took effect at 2025-06-01T00:00:00Z
UPDATE history SET effective_at = '2025-06-01T00:00:00.000000Z' WHERE event = 'remind';

-- I6 fired for another day
-- says: history had not armed it so
UPDATE history SET cause = replace(cause, '/2025-01', '/2024-01') WHERE event = 'remind';

-- I6 moved another case
-- says: a timer of @hers moved @ready
UPDATE history SET cause = replace(cause, '@ready', '@hers') WHERE event = 'remind' AND case_ref = '@ready';

-- I6 no timer at all
-- says: names no timer
UPDATE history SET cause = 'timer:' || sequence WHERE event = 'remind';

-- I6 armed in a state that was left
-- says: a repair in state 'collected' has no such timer
UPDATE timers SET case_ref = '@done' WHERE case_ref = '@ready';

-- I7 sent and waits again
-- says: and is waiting again
UPDATE messages SET state = 'waiting' WHERE state = 'sent';

-- I7 sent and held
-- says: it was sent at
UPDATE messages SET state = 'held', note = 'why' WHERE state = 'sent';

-- I7 copied and waiting for no reason
-- says: nothing says why it waits again
UPDATE messages SET state = 'waiting', sent_at = NULL WHERE state = 'sent';

-- I7 discarded by nobody
-- says: it is discarded, and nobody asked for it
UPDATE messages SET state = 'discarded' WHERE state = 'waiting';

-- I7 dead and waiting again
-- says: it was dead, and is waiting again, and nobody asked for it
INSERT INTO incidents (tenant, id, subject, case_ref, kind, cause, says, opened_at, fault) SELECT tenant, 'N-' || key, subject, case_ref, 'mail_dead', 'message:' || key || '/dead/2025-01-06T10:00:00Z', '{}', '2025-01-06T10:00:00.000000Z', '' FROM messages WHERE state = 'waiting';

-- I5 held for no reason
-- says: it is held, and nothing says why
UPDATE messages SET state = 'held' WHERE state = 'waiting';

-- I5 put off more often than tried
-- says: it was put off 7 times in
UPDATE messages SET failures = 7 WHERE state = 'waiting';

-- I5 a digest that is not there
-- says: which has no such bytes
UPDATE messages SET digest = 'W-0:1:x:y' WHERE state = 'sent';

-- I8 a row changed
-- says: history 2: it, or its place in the chain, was changed after it was written
UPDATE history SET actor = 'mallory' WHERE subject = '@ann' AND sequence = 2;

-- I8 a row's facts
-- says: history 2: its facts, reason or note were changed after it was written
UPDATE history SET facts_after = '{"name":"Mallory"}' WHERE subject = '@ann' AND sequence = 2;

-- I8 a reason put in
-- says: history 3: its facts, reason or note were changed after it was written
UPDATE history SET reason = 'because' WHERE subject = '@ann' AND sequence = 3;

-- I8 another salt
-- says: history 3: its facts, reason or note were changed after it was written
UPDATE history SET salt = '' WHERE subject = '@ann' AND sequence = 3;

-- I8 a row lost
-- says: history 4: history 3 before it is gone
DELETE FROM history WHERE subject = '@ann' AND sequence = 3;

-- I8 the last row lost
-- says: it is not the row that was written last: rows behind it are gone
DELETE FROM history WHERE subject = '@ann' AND sequence = (SELECT sequence FROM subjects WHERE ref = '@ann');

-- I8 all rows of a subject lost
-- says: owner @eve: all its history is gone
DELETE FROM history WHERE subject = '@eve';

-- I8 sealed rows lost
-- says: of history that it covers are gone
DELETE FROM history WHERE subject = '@eve';

-- I8 all history lost
-- says: history ends before what was sealed then
DELETE FROM history;

-- I8 rows in another order
-- says: rows of history that it covers were changed after it was made; those that are there are of club
UPDATE history SET position = 1000000 WHERE position = 2;
UPDATE history SET position = 2 WHERE position = 3;
UPDATE history SET position = 3 WHERE position = 1000000;

-- I8 an act changed
-- says: act 1: it was changed after it was written, or put in
UPDATE audit SET actor = 'mallory' WHERE position = 1;

-- I8 an act lost
-- says: act 2: act 1 before it is gone
DELETE FROM audit WHERE position = 1;

-- I8 the last act lost
-- says: 1 of the 2 acts that it covers are gone; the audit ends before what was sealed then
DELETE FROM audit WHERE position = 2;

-- I8 an act put in
-- says: act 3: it was changed after it was written, or put in
INSERT INTO audit (position, tenant, at, actor_kind, actor, act, target, reason, details, hash)
SELECT 3, tenant, at, actor_kind, actor, act, target, reason, details, hash FROM audit WHERE position = 1;

-- I8 a seal changed
-- says: rows of history that it covers were changed after it was made
UPDATE seals SET digest = 'A' WHERE number = 1;

-- I8 a seal lost
-- says: seal 1 before it is gone
DELETE FROM seals WHERE number = 1;

-- I8 a seal that follows another
-- says: it does not follow the seal before it
UPDATE seals SET previous = 'A' WHERE number = 2;

-- I9 a case
-- says: it points to @eve, which is of tenant north
UPDATE cases SET subject = '@eve' WHERE ref = '@ready';

-- I9 a case of nobody
-- says: it points to W-0, which does not exist
UPDATE cases SET subject = 'W-0' WHERE ref = '@ready';

-- I9 a name
-- says: it points to the case @hers, which is of tenant north
UPDATE names SET case_ref = '@hers', subject = '@eve' WHERE value = 'K-7';

-- I9 a message
-- says: it points to the case @hers, which is of tenant north
UPDATE messages SET case_ref = '@hers' WHERE case_ref = '@ready';

-- I9 a timer
-- says: it points to the case @hers, which is of tenant north
UPDATE timers SET case_ref = '@hers' WHERE case_ref = '@ready';

-- I9 a timer of a neighbour
-- says: it is of @bob, and its case @ready of @ann
UPDATE timers SET subject = '@bob' WHERE case_ref = '@ready';

-- I9 history
-- says: it points to @eve, which is of tenant north
UPDATE history SET subject = '@eve', sequence = 900 + sequence WHERE subject = '@bob';

-- I9 an incident
-- says: it points to @eve, which is of tenant north
UPDATE incidents SET subject = '@eve' WHERE subject = '@ann';

-- I9 an event
-- says: it points to @eve, which is of tenant north
UPDATE inbox SET subject_ref = '@eve' WHERE subject_ref = '@ann';

-- I9 a hold
-- says: it points to W-0, which does not exist
INSERT INTO holds (id, tenant, subject, mail_only, kind, reason, made_by, made_at)
SELECT 'H-0', tenant, 'W-0', TRUE, 'asked', 'x', 'x', opened_at FROM subjects WHERE ref = '@ann';

-- I9 a tenant that is not there
-- says: 1 of its rows are of tenant 77, which does not exist
UPDATE inbox SET tenant = 77 WHERE event_id = 'no';

-- I10 a summary column
-- says: its name is 'Eva', and its cases say 'Eve'
UPDATE subjects SET name = 'Eva' WHERE ref = '@eve';

-- I10 a count
-- says: its pending_count is 4, and its cases say 1
UPDATE subjects SET pending_count = 4 WHERE ref = '@eve';

-- I10 a list
-- says: its in_ready is True
UPDATE subjects SET in_ready = true WHERE ref = '@eve';

-- I10 a date
-- says: its anniversary is
UPDATE subjects SET anniversary = '2030-01-01' WHERE ref = '@ann';

-- I10 the next event
-- says: its next_event is 'club.lapse', and its cases say 'club.ask'
UPDATE subjects SET next_event = 'club.lapse' WHERE ref = '@eve';

-- I10 the next due
-- says: its next_due is None
UPDATE subjects SET next_due = NULL WHERE ref = '@eve';

-- I10 the tally
-- says: its tally of settled cases is
UPDATE subjects SET tally = '{"repair.sold":3}' WHERE ref = '@ann';

-- I10 a tally that is none
-- says: its tally of settled cases cannot be read
UPDATE subjects SET tally = '?' WHERE ref = '@ann';

-- I10 what cannot be summed up
-- says: its name is 'Eve', and its cases say ''
UPDATE cases SET facts = '[]' WHERE ref = '@club';
UPDATE cases SET facts = '{"name":3}' WHERE ref = '@eve';

-- I10 a tenant's settings
-- says: its settings cannot be read
UPDATE tenants SET zone = 'Mars/Olympus' WHERE key = 'north';
