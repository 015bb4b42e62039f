-- Training runs: what was asked for, who works at it, and what came of it. At most one is worked at any time.
CREATE TABLE training_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- cron, cli, or the name of an API client.
  requested_by text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('full', 'incremental', 'query_only')),
  publish boolean NOT NULL,
  options jsonb NOT NULL,
  status text NOT NULL DEFAULT 'queued' CHECK (status IN
    ('queued', 'running', 'succeeded', 'refused', 'failed', 'cancelled', 'abandoned')),
  -- Which try it is of what was asked for: a service tries again what a killed trainer left.
  attempt integer NOT NULL DEFAULT 1 CHECK (attempt > 0),
  -- The abandoned run whose version and checkpoint this one goes on with.
  continues bigint REFERENCES training_runs ON DELETE SET NULL,
  -- Who works at it: process id, host, start, and a number of its own that no other process has.
  holder_pid integer,
  holder_host text,
  holder_instance uuid,
  started_at timestamptz,
  finished_at timestamptz,
  -- The holder is presumed dead after this, whatever its session says.
  lease_until timestamptz,
  heartbeat_at timestamptz,
  -- Each claim gets a greater one than all before; who holds an older one may not publish any more.
  fence integer UNIQUE CHECK (fence > 0),
  cancel_requested boolean NOT NULL DEFAULT false,
  stage text,
  share real CHECK (share BETWEEN 0 AND 1),
  version text,
  published boolean NOT NULL DEFAULT false,
  -- Why nothing was published, or what failed.
  reason text
);
CREATE UNIQUE INDEX training_runs_running ON training_runs ((true)) WHERE status = 'running';
CREATE INDEX training_runs_queued ON training_runs (id) WHERE status = 'queued';
