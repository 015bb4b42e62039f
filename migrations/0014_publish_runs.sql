-- Publishes asked for over HTTP: the last one of each version, so that any API process can say what became
-- of it.
CREATE TABLE publish_runs (
  version text PRIMARY KEY REFERENCES model_versions (version) ON DELETE CASCADE,
  -- Of this try; whoever was given up may not write any more.
  run_id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'published', 'refused', 'failed')),
  phase text NOT NULL,
  -- How far the phase is, 0 to 1.
  share real NOT NULL CHECK (share BETWEEN 0 AND 1),
  -- Code and text of the refusal or failure; null otherwise.
  code text,
  detail text,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The process that publishes renews it; what is older was left by one that is gone.
  heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);
