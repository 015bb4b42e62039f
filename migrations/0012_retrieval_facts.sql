-- What each version's vector table offers to searches: its indexes and the measured plans.
ALTER TABLE model_versions ADD COLUMN retrieval jsonb;
