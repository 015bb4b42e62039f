-- Versions whose item side is bit-equal share one table of item vectors, its indexes and its revisions
-- (decision 0029): the table is that of the version named here. Null: the version's own.
ALTER TABLE model_versions
  ADD COLUMN vectors_version text REFERENCES model_versions,
  -- Never a chain: whoever is shared has its own.
  ADD CONSTRAINT model_versions_vectors_version_check CHECK (vectors_version <> version);
CREATE INDEX model_versions_by_vectors ON model_versions (vectors_version);
