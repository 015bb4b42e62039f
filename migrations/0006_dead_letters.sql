-- Dead letters: what the topic of dead letters still waits for, in order, and what was replayed.
ALTER TABLE rejects
  -- The order of setting aside; increases with the offset within a partition.
  ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY,
  -- The key's bytes where record_key cannot hold them: no UTF-8, or a NUL in it.
  ADD COLUMN key_bytes bytea,
  -- Of the ingest that set it aside.
  ADD COLUMN consumer_version text,
  -- When the topic of dead letters had it; null where it waits, or where there is no such topic.
  ADD COLUMN sent_at timestamptz,
  -- When it was appended to the log again; null where it was not.
  ADD COLUMN replayed_at timestamptz;
CREATE UNIQUE INDEX rejects_by_seq ON rejects (seq);
CREATE INDEX rejects_unsent ON rejects (seq) WHERE sent_at IS NULL;

-- Who forwards dead letters: one process at a time, so that they keep their order. Others take over when
-- the time is up.
CREATE TABLE dead_letter_leases (
  topic text PRIMARY KEY,
  holder text NOT NULL,
  until timestamptz NOT NULL
);
