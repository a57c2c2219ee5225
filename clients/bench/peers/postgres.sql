-- otpd's rules for PostgreSQL 15: one function an operation, one transaction a call. Windows are arrays of stamps on the phone's and the
-- account's row, as in otpd's records: one row update instead of an insert and a count for each window.
-- Statuses: 0 done, 1 wrong code, 2 limited, 3 not open, 4 request id conflict.

CREATE TABLE challenge (
  id uuid PRIMARY KEY, state text NOT NULL, target uuid, account text, phone text, session text, code text,
  used int NOT NULL DEFAULT 0, sends int NOT NULL DEFAULT 1, ends bigint, resend bigint,
  verdict_ids uuid[] NOT NULL DEFAULT '{}', verdict_codes text[] NOT NULL DEFAULT '{}', verdict_statuses int[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
CREATE TABLE slot (account text, session text, challenge uuid NOT NULL, PRIMARY KEY (account, session));
CREATE TABLE phone (
  name text PRIMARY KEY, sends bigint[] NOT NULL DEFAULT '{}', unverified int NOT NULL DEFAULT 0,
  accounts text[] NOT NULL DEFAULT '{}', seen bigint[] NOT NULL DEFAULT '{}',
  open uuid[] NOT NULL DEFAULT '{}', ends bigint[] NOT NULL DEFAULT '{}', verifies bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
CREATE TABLE account (
  name text PRIMARY KEY, sends bigint[] NOT NULL DEFAULT '{}', unverified int NOT NULL DEFAULT 0,
  phones text[] NOT NULL DEFAULT '{}', seen bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
CREATE TABLE streak (account text, phone text, total int NOT NULL, blocked bigint NOT NULL, PRIMARY KEY (account, phone));
CREATE TABLE outbox (challenge uuid, send int, phone text NOT NULL, code text NOT NULL, due bigint NOT NULL, PRIMARY KEY (challenge, send));
CREATE TABLE granted (token uuid PRIMARY KEY, challenge uuid NOT NULL, account text NOT NULL, session text NOT NULL, ends bigint NOT NULL);
CREATE TABLE event (sequence bigserial PRIMARY KEY, kind text NOT NULL, challenge uuid, account text, at bigint NOT NULL);

CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Milliseconds until fewer than `most` of the newest `among` stamps (newest last) lie inside the window; 0 = passes.
CREATE FUNCTION retry_after(stamps bigint[], among int, most int, span bigint, t bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF among < most THEN RETURN 0; END IF;
  RETURN greatest(0, stamps[cardinality(stamps) - most + 1] + span - t);
END $$;

-- Exact rolling windows over the sends of a phone or an account.
CREATE FUNCTION budget(stamps bigint[], unverified int, t bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF cardinality(stamps) < 5 THEN RETURN 0; END IF;
  RETURN greatest(
    retry_after(stamps, unverified, 5, 3600000, t), retry_after(stamps, unverified, 10, 86400000, t),
    retry_after(stamps, cardinality(stamps), 20, 3600000, t), retry_after(stamps, cardinality(stamps), 50, 86400000, t));
END $$;

-- Different names in a day.
CREATE FUNCTION distinct_names(names text[], seen bigint[], name text, most int, t bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE live int := 0; oldest bigint := t;
BEGIN
  FOR i IN 1 .. cardinality(names) LOOP
    IF seen[i] + 86400000 > t THEN
      IF names[i] = name THEN RETURN 0; END IF;
      live := live + 1;
      oldest := least(oldest, seen[i]);
    END IF;
  END LOOP;
  RETURN CASE WHEN live >= most THEN oldest + 86400000 - t ELSE 0 END;
END $$;

-- The newest 50 stamps of a day, with `t`.
CREATE FUNCTION debited(stamps bigint[], t bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  WHILE cardinality(stamps) > 0 AND (stamps[1] + 86400000 <= t OR cardinality(stamps) >= 50) LOOP
    stamps := stamps[2:];
  END LOOP;
  RETURN stamps || t;
END $$;

CREATE FUNCTION otp_request(
  request uuid, account_name text, phone_name text, session_name text, new_code text,
  OUT status int, OUT attempts_left int, OUT retry_after_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
  t CONSTANT bigint := now_ms();
  known challenge; former challenge; p phone; a account; s streak;
  gaps CONSTANT bigint[] := '{30000,60000,120000}';
  gap bigint := 0; wait bigint; live int := 0; soonest bigint; place int;
BEGIN
  retry_after_ms := 0;
  -- The same request id: the same outcome, or a conflict.
  SELECT * INTO known FROM challenge WHERE id = request;
  IF FOUND THEN
    status := CASE WHEN (known.account, known.phone, known.session) = (account_name, phone_name, session_name) THEN 0 ELSE 4 END;
    attempts_left := 5 - known.used;
    RETURN;
  END IF;
  -- Rows are locked in one order, account before phone, so that no two requests wait for one another.
  INSERT INTO account (name) VALUES (account_name) ON CONFLICT DO NOTHING;
  SELECT * INTO a FROM account WHERE name = account_name FOR UPDATE;
  INSERT INTO phone (name) VALUES (phone_name) ON CONFLICT DO NOTHING;
  SELECT * INTO p FROM phone WHERE name = phone_name FOR UPDATE;
  SELECT * INTO s FROM streak WHERE account = account_name AND phone = phone_name;
  IF FOUND AND (s.blocked > t OR s.total >= 100) THEN
    INSERT INTO event (kind, account, at) VALUES ('refused', account_name, t);
    status := 2; attempts_left := 255; retry_after_ms := greatest(0, s.blocked - t);
    RETURN;
  END IF;
  IF p.unverified > 0 THEN
    gap := greatest(0, p.sends[cardinality(p.sends)] + gaps[least(p.unverified, 3)] - t);
  END IF;
  SELECT c.* INTO former FROM slot JOIN challenge c ON c.id = slot.challenge
    WHERE slot.account = account_name AND slot.session = session_name AND c.state = 'open' AND c.ends > t;
  -- The same key again inside the gap: the first answer, no message, no debit.
  IF former.phone = phone_name AND (t < former.resend OR gap > 0) THEN
    INSERT INTO challenge (id, state, target, account, phone, session, used)
      VALUES (request, 'alias', former.id, account_name, phone_name, session_name, former.used);
    status := 0; attempts_left := 5 - former.used;
    RETURN;
  END IF;
  -- All limits first.
  wait := greatest(gap, budget(p.sends, p.unverified, t), budget(a.sends, a.unverified, t),
    distinct_names(a.phones, a.seen, phone_name, 3, t), distinct_names(p.accounts, p.seen, account_name, 5, t));
  IF former.phone IS DISTINCT FROM phone_name THEN
    FOR i IN 1 .. cardinality(p.open) LOOP
      IF p.ends[i] > t THEN live := live + 1; soonest := least(soonest, p.ends[i]); END IF;
    END LOOP;
    IF live >= 3 THEN wait := greatest(wait, soonest - t); END IF;
  ELSIF former.sends >= 3 THEN
    wait := greatest(wait, former.ends - t);
  END IF;
  IF wait > 0 THEN
    INSERT INTO event (kind, account, at) VALUES ('refused', account_name, t);
    status := 2; attempts_left := 255; retry_after_ms := wait;
    RETURN;
  END IF;
  -- All effects after.
  p.sends := debited(p.sends, t); p.unverified := least(p.unverified + 1, 50);
  a.sends := debited(a.sends, t); a.unverified := least(a.unverified + 1, 50);
  place := coalesce(array_position(p.accounts, account_name), least(cardinality(p.accounts) + 1, 5));
  p.accounts[place] := account_name; p.seen[place] := t;
  place := coalesce(array_position(a.phones, phone_name), least(cardinality(a.phones) + 1, 5));
  a.phones[place] := phone_name; a.seen[place] := t;
  IF former.phone = phone_name THEN
    UPDATE challenge SET sends = former.sends + 1, resend = t + gaps[least(p.unverified, 3)] WHERE id = former.id;
    INSERT INTO challenge (id, state, target, account, phone, session, used)
      VALUES (request, 'alias', former.id, account_name, phone_name, session_name, former.used);
    INSERT INTO outbox VALUES (former.id, former.sends + 1, phone_name, former.code, t);
  ELSE
    IF former.id IS NOT NULL THEN
      UPDATE challenge SET state = 'superseded' WHERE id = former.id;
      UPDATE phone SET
        open = open[:array_position(open, former.id) - 1] || open[array_position(open, former.id) + 1:],
        ends = ends[:array_position(open, former.id) - 1] || ends[array_position(open, former.id) + 1:]
        WHERE name = former.phone AND former.id = ANY (open);
      DELETE FROM outbox WHERE challenge = former.id;
      INSERT INTO event (kind, challenge, account, at) VALUES ('superseded', former.id, account_name, t);
    END IF;
    INSERT INTO challenge (id, state, account, phone, session, code, ends, resend)
      VALUES (request, 'open', account_name, phone_name, session_name, new_code, t + 300000, t + gaps[least(p.unverified, 3)]);
    INSERT INTO slot VALUES (account_name, session_name, request)
      ON CONFLICT (account, session) DO UPDATE SET challenge = excluded.challenge;
    WHILE cardinality(p.open) > 0 AND (p.ends[1] <= t OR cardinality(p.open) >= 5) LOOP p.open := p.open[2:]; p.ends := p.ends[2:]; END LOOP;
    p.open := p.open || request; p.ends := p.ends || (t + 300000);
    INSERT INTO outbox VALUES (request, 1, phone_name, new_code, t);
  END IF;
  UPDATE phone SET sends = p.sends, unverified = p.unverified, accounts = p.accounts, seen = p.seen, open = p.open, ends = p.ends
    WHERE name = phone_name;
  UPDATE account SET sends = a.sends, unverified = a.unverified, phones = a.phones, seen = a.seen WHERE name = account_name;
  INSERT INTO event (kind, challenge, account, at) VALUES ('requested', request, account_name, t);
  status := 0; attempts_left := 5;
END $$;

CREATE FUNCTION otp_verify(
  wanted uuid, request uuid, session_name text, typed text, token uuid,
  OUT status int, OUT attempts_left int, OUT retry_after_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
  t CONSTANT bigint := now_ms();
  c challenge; p phone; s streak; place int; next_block bigint := 0; left_after int;
BEGIN
  retry_after_ms := 0; attempts_left := 255; status := 3;
  -- The challenge's row is the lock: its phone and streak follow.
  SELECT * INTO c FROM challenge WHERE id = wanted FOR UPDATE;
  IF NOT FOUND OR c.state = 'alias' OR c.session <> session_name THEN RETURN; END IF;
  -- A retry of a decided Verify: the same outcome, acted once.
  place := array_position(c.verdict_ids, request);
  IF place IS NOT NULL THEN
    status := CASE WHEN c.verdict_codes[place] = typed THEN c.verdict_statuses[place] ELSE 4 END;
    RETURN;
  END IF;
  IF c.state <> 'open' OR c.ends <= t THEN RETURN; END IF;
  IF typed = c.code THEN
    UPDATE account SET unverified = 0 WHERE name = c.account;
  END IF;
  SELECT * INTO p FROM phone WHERE name = c.phone FOR UPDATE;
  SELECT * INTO s FROM streak WHERE account = c.account AND phone = c.phone;
  IF s.blocked > t OR s.total >= 100 THEN
    status := 2; retry_after_ms := greatest(0, s.blocked - t);
    RETURN;
  END IF;
  retry_after_ms := retry_after(p.verifies, cardinality(p.verifies), 10, 60000, t);
  IF retry_after_ms > 0 THEN status := 2; RETURN; END IF;
  WHILE cardinality(p.verifies) > 0 AND p.verifies[1] + 60000 <= t LOOP p.verifies := p.verifies[2:]; END LOOP;
  p.verifies := p.verifies || t;
  IF typed = c.code OR c.used = 4 THEN
    place := array_position(p.open, wanted);
    IF place IS NOT NULL THEN
      p.open := p.open[:place - 1] || p.open[place + 1:]; p.ends := p.ends[:place - 1] || p.ends[place + 1:];
    END IF;
    DELETE FROM slot WHERE account = c.account AND session = c.session;
    DELETE FROM outbox WHERE challenge = wanted;
  END IF;
  IF typed = c.code THEN
    UPDATE challenge SET state = 'verified', verdict_ids = verdict_ids || request, verdict_codes = verdict_codes || typed,
      verdict_statuses = verdict_statuses || 0 WHERE id = wanted;
    UPDATE phone SET unverified = 0, verifies = p.verifies, open = p.open, ends = p.ends WHERE name = c.phone;
    IF s.total > 0 THEN DELETE FROM streak WHERE account = c.account AND phone = c.phone; END IF;
    INSERT INTO granted VALUES (token, wanted, c.account, c.session, t + 120000);
    INSERT INTO event (kind, challenge, account, at) VALUES ('verified', wanted, c.account, t);
    status := 0; attempts_left := 5 - c.used;
    RETURN;
  END IF;
  left_after := 4 - c.used;
  UPDATE challenge SET used = used + 1, state = CASE WHEN left_after = 0 THEN 'exhausted' ELSE state END,
    verdict_ids = verdict_ids || request, verdict_codes = verdict_codes || typed, verdict_statuses = verdict_statuses || 1 WHERE id = wanted;
  UPDATE phone SET verifies = p.verifies, open = p.open, ends = p.ends WHERE name = c.phone;
  s.total := coalesce(s.total, 0) + 1;
  IF s.total >= 20 AND (s.total - 20) % 5 = 0 THEN next_block := t + 900000 * least(4, power(2, (s.total - 20) / 5))::bigint; END IF;
  INSERT INTO streak VALUES (c.account, c.phone, s.total, next_block)
    ON CONFLICT (account, phone) DO UPDATE SET total = excluded.total, blocked = greatest(streak.blocked, excluded.blocked);
  INSERT INTO event (kind, challenge, account, at) VALUES ('wrong', wanted, c.account, t);
  IF left_after = 0 THEN INSERT INTO event (kind, challenge, account, at) VALUES ('exhausted', wanted, c.account, t); END IF;
  status := 1; attempts_left := left_after;
END $$;

CREATE FUNCTION otp_status(
  wanted uuid, session_name text, OUT status int, OUT attempts_left int, OUT retry_after_ms bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE c challenge;
BEGIN
  retry_after_ms := 0; attempts_left := 255; status := 3;
  SELECT * INTO c FROM challenge WHERE id = wanted;
  IF c.target IS NOT NULL THEN SELECT * INTO c FROM challenge WHERE id = c.target; END IF;
  IF c.session = session_name THEN status := 0; attempts_left := 5 - c.used; END IF;
END $$;
