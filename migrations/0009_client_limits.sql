-- Rate limits over all processes: how much each client has claimed of a window. Unlogged: a crash of the
-- server forgives one window, and a claim costs no flush of the log.
CREATE UNLOGGED TABLE rate_limits (
  key text PRIMARY KEY,
  points integer NOT NULL DEFAULT 0,
  -- Epoch milliseconds.
  expire bigint
);

-- A burst is the quota of a window of burst / requests_per_second seconds: not shorter than one second.
ALTER TABLE tiers ADD CONSTRAINT tiers_burst_of_a_second CHECK (burst >= requests_per_second);

-- To the minute: written at most that often.
ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;
CREATE INDEX api_keys_by_client ON api_keys (client);
