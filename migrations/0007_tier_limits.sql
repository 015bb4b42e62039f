-- Tiers get limits of rate and concurrency, a retrieval plan, and what becomes of them under overload.
-- Tiers that exist stay without limits, as they were.
ALTER TABLE tiers
  -- Sustained rate of one client; null: no limit.
  ADD COLUMN requests_per_second integer CHECK (requests_per_second >= 1),
  -- Requests at once after a pause; null: those of one second.
  ADD COLUMN burst integer CHECK (burst >= 1),
  -- Requests of one client in flight at once, in each process; null: no limit.
  ADD COLUMN max_concurrency integer CHECK (max_concurrency >= 1),
  ADD COLUMN plan text NOT NULL DEFAULT 'auto'
    CHECK (plan IN ('auto', 'exact', 'prefix', 'staged', 'bound')),
  ADD COLUMN overload text NOT NULL DEFAULT 'step_down' CHECK (overload IN ('refuse', 'step_down'));
