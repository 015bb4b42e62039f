-- Every attempt to publish: what was measured, what was refused, who had it published all the same. Kept
-- beyond the versions themselves, so no reference to them.
CREATE TABLE publish_reports (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version text NOT NULL,
  reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  outcome text NOT NULL CHECK (outcome IN ('published', 'refused')),
  -- The version that was published then; null: none.
  against text,
  -- Who forced it although it was refused; null: it was not.
  forced_by text,
  -- Verdict per tier, reasons, indexes: contracts' publishReportSchema without the columns above.
  report jsonb NOT NULL
);
CREATE INDEX publish_reports_by_version ON publish_reports (version, seq);
