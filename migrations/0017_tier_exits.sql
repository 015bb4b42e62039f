-- Tiers may be served at an early exit of the model. Tiers that exist stay at full depth.
ALTER TABLE tiers
  -- Blocks that a query goes through, where the published model has that exit; null: all of them.
  ADD COLUMN exit_blocks integer CHECK (exit_blocks >= 1);
