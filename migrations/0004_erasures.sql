-- Erasures: what stops erased history from coming back, receipts, and what finding a user's bytes needs.
-- Users and events stand here as SHA-256 alone.

-- Events of the user up to this time are never stored again; newer ones are a new history.
CREATE TABLE erased_users (
  user_hash bytea PRIMARY KEY CHECK (octet_length(user_hash) = 32),
  erased_before event_time NOT NULL
);

-- Single events that are never stored again, whatever their time: hashes of user and event id together.
CREATE TABLE erased_events (
  event_hash bytea PRIMARY KEY CHECK (octet_length(event_hash) = 32)
);

-- One row per erasure that was applied, under its place in the log.
CREATE TABLE erasures (
  topic text NOT NULL,
  partition integer NOT NULL,
  log_offset bigint NOT NULL,
  -- Of the erasure's own id.
  erasure_hash bytea NOT NULL CHECK (octet_length(erasure_hash) = 32),
  kind text NOT NULL CHECK (kind IN ('user', 'event')),
  requested_at event_time NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  events integer NOT NULL CHECK (events >= 0),
  states integer NOT NULL CHECK (states >= 0),
  rejects integer NOT NULL CHECK (rejects >= 0),
  PRIMARY KEY (topic, partition, log_offset)
);
CREATE INDEX erasures_by_id ON erasures (erasure_hash);

-- Whom and what a rejected record speaks of, where that could be read. Keys may be long, hence hash indexes.
ALTER TABLE rejects ADD COLUMN user_id text, ADD COLUMN event_id text;
CREATE INDEX rejects_by_key ON rejects USING hash (record_key);
CREATE INDEX rejects_by_user ON rejects USING hash (user_id);

-- A record without key and value is one whose bytes were erased; its offset stays.
ALTER TABLE event_log ALTER COLUMN record_key DROP NOT NULL, ALTER COLUMN record_value DROP NOT NULL;
CREATE INDEX event_log_by_key ON event_log USING hash (record_key);
