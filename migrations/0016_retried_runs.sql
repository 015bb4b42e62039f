-- The run that was queued in the place of one that was abandoned, so that who waits for the one can follow it.
ALTER TABLE training_runs ADD COLUMN retried_as bigint REFERENCES training_runs ON DELETE SET NULL;

-- From now on an item is known by its first stored event; here are those whose events were not counted yet.
INSERT INTO item_popularity (item_id, interactions)
SELECT item_id, count(*) FROM interactions GROUP BY item_id ORDER BY item_id
ON CONFLICT (item_id) DO NOTHING;
