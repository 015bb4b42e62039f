-- Which item vectors changed after user states had taken them in: a state that remembers such an item is
-- rebuilt when it is next touched (decision 0020).

-- One number per version, raised in the transaction that replaces vectors, under this row's lock.
ALTER TABLE model_versions
  ADD COLUMN vectors_revision bigint NOT NULL DEFAULT 0,
  -- States below it are out of date whatever they hold: the table was made anew since.
  ADD COLUMN vectors_floor bigint NOT NULL DEFAULT 0;

-- The newest revision at which an item's vector was replaced by another one. New items are not changes.
CREATE TABLE item_vector_changes (
  version text NOT NULL REFERENCES model_versions ON DELETE CASCADE,
  item_id entity_id NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (version, item_id)
);
CREATE INDEX item_vector_changes_by_revision ON item_vector_changes (version, revision);

-- The version's revision as it was before the vectors in this state were read.
ALTER TABLE user_states ADD COLUMN vectors_revision bigint NOT NULL DEFAULT 0;

-- Nobody wrote down what changed until now.
UPDATE model_versions SET vectors_revision = 1, vectors_floor = 1;
