-- The spine: events and what follows from them, the catalogue, models, access, the embedded event log.
-- Ids are opaque and compared bytewise (COLLATE "C"), so that order is the same on every machine.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE DOMAIN entity_id AS text COLLATE "C"
  CHECK (octet_length(VALUE) BETWEEN 1 AND 256);

-- Whole milliseconds, as everywhere in nestrec; infinite times have no place in an order of events.
CREATE DOMAIN event_time AS timestamptz(3) CHECK (isfinite(VALUE));

-- The truth: one row per event. Written by ingest and import only.
CREATE TABLE interactions (
  event_id entity_id PRIMARY KEY,
  user_id entity_id NOT NULL,
  item_id entity_id NOT NULL,
  type text NOT NULL CHECK (octet_length(type) BETWEEN 1 AND 64),
  ts event_time NOT NULL,
  value double precision
);
CREATE INDEX interactions_by_user ON interactions (user_id, ts, event_id) INCLUDE (item_id);

-- How often each item was interacted with, as of the last refresh.
CREATE TABLE item_popularity (
  item_id entity_id PRIMARY KEY,
  interactions bigint NOT NULL CHECK (interactions > 0)
);
CREATE INDEX item_popularity_by_rank ON item_popularity (interactions DESC, item_id);

-- The catalogue. Written by api and import only.
CREATE TABLE items (
  item_id entity_id PRIMARY KEY,
  title text,
  brand text,
  categories text[],
  available boolean NOT NULL DEFAULT true,
  fields jsonb,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Precomputed vectors that came with an item: float32, little-endian.
CREATE TABLE item_features (
  item_id entity_id NOT NULL REFERENCES items ON DELETE CASCADE,
  modality text NOT NULL CHECK (octet_length(modality) BETWEEN 1 AND 64),
  vector bytea NOT NULL CHECK (octet_length(vector) % 4 = 0),
  PRIMARY KEY (item_id, modality)
);

-- The recurrent state of a user under one model: a fold of interactions, rebuilt whenever in doubt.
CREATE TABLE user_states (
  user_id entity_id PRIMARY KEY,
  model_version text NOT NULL,
  state bytea NOT NULL,
  last_item_id entity_id,
  events_in_state integer NOT NULL CHECK (events_in_state >= 0),
  -- Events of items that the model did not know: they are not in the state.
  unknown_events integer NOT NULL DEFAULT 0 CHECK (unknown_events >= 0),
  -- Closed-form edits since the last fold: each loses a few digits.
  edits integer NOT NULL DEFAULT 0 CHECK (edits >= 0),
  newest_ts event_time,
  newest_event_id entity_id,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- What has been applied of each partition of the event log, in the same transaction as its effects.
CREATE TABLE consumer_positions (
  topic text NOT NULL,
  partition integer NOT NULL CHECK (partition >= 0),
  next_offset bigint NOT NULL CHECK (next_offset >= 0),
  -- Of the last applied record, to notice a log that was deleted and made anew.
  fingerprint text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, partition)
);

-- Records of the log that could not be applied, with their bytes.
CREATE TABLE rejects (
  topic text NOT NULL,
  partition integer NOT NULL,
  log_offset bigint NOT NULL,
  -- Place within the record, for records that hold several events.
  part integer NOT NULL DEFAULT 0,
  reason text NOT NULL,
  detail text NOT NULL,
  record_key text,
  record_value bytea,
  rejected_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, partition, log_offset, part)
);

CREATE TABLE tiers (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,63}$'),
  -- Null: every dimension of the published model.
  max_dim integer CHECK (max_dim >= 1),
  max_k integer NOT NULL CHECK (max_k >= 1)
);

-- Keys of client applications. The secret itself is shown once and never stored.
CREATE TABLE api_keys (
  public_id text PRIMARY KEY,
  client text NOT NULL CHECK (octet_length(client) BETWEEN 1 AND 256),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  tier text NOT NULL REFERENCES tiers,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

CREATE TABLE model_versions (
  version text PRIMARY KEY CHECK (version ~ '^[a-z0-9][a-z0-9_]{0,47}$'),
  status text NOT NULL CHECK (status IN ('candidate', 'published', 'retired')),
  manifest jsonb NOT NULL,
  path text NOT NULL,
  -- Prefixes that have an index in item_vectors_<version>.
  index_dims integer[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The pointer: at most one row. Moved in one statement.
CREATE TABLE published_model (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  version text NOT NULL REFERENCES model_versions,
  previous_version text REFERENCES model_versions,
  published_at timestamptz NOT NULL DEFAULT now()
);

-- The embedded event log. The head's row lock makes offsets visible in order, without holes.
CREATE TABLE event_log_heads (
  topic text PRIMARY KEY,
  next_offset bigint NOT NULL DEFAULT 0
);
CREATE TABLE event_log (
  topic text NOT NULL,
  log_offset bigint NOT NULL,
  record_key text NOT NULL,
  record_value bytea NOT NULL,
  appended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, log_offset)
);
