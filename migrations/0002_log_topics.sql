-- How many partitions a topic had when it was first read. Another number moves users to other partitions,
-- and with them the order of their events.
CREATE TABLE log_topics (
  topic text PRIMARY KEY,
  partitions integer NOT NULL CHECK (partitions >= 1),
  pinned_at timestamptz NOT NULL DEFAULT now()
);
