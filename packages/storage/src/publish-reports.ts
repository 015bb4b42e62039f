/** What publishing found, attempt by attempt; what it means is in `contracts`. */
import type { PublishReport } from '@nestrec/contracts';
import { json, type Queryable } from '@nestrec/database';

/** A report before it is written down, which gives it its time. */
export type PublishReportDraft = Omit<PublishReport, 'at'>;

interface ReportRow extends Record<string, unknown> {
  version: string;
  reported_at: Date;
  outcome: PublishReport['outcome'];
  against: string | null;
  forced_by: string | null;
  report: Omit<PublishReportDraft, 'version' | 'outcome' | 'against' | 'forced_by'>;
}

const toReport = ({ reported_at, report, ...row }: ReportRow): PublishReport => ({
  version: row.version,
  at: reported_at.toISOString(),
  outcome: row.outcome,
  against: row.against,
  forced_by: row.forced_by,
  ...report,
});

const COLUMNS = 'version, reported_at, outcome, against, forced_by, report';

export async function recordPublishReport(
  db: Queryable,
  draft: PublishReportDraft,
): Promise<PublishReport> {
  const { version, outcome, against, forced_by, ...report } = draft;
  const { rows } = await db.query<ReportRow>(
    `INSERT INTO publish_reports (version, outcome, against, forced_by, report)
     VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
    [version, outcome, against, forced_by, json(report)],
  );
  return toReport(rows[0]!);
}

/** The newest report of each version. */
export async function newestPublishReports(db: Queryable): Promise<Map<string, PublishReport>> {
  const { rows } = await db.query<ReportRow>(
    `SELECT DISTINCT ON (version) ${COLUMNS} FROM publish_reports ORDER BY version, seq DESC`,
  );
  return new Map(rows.map((row) => [row.version, toReport(row)]));
}

/** The newest report of one version, of an attempt that ended so; null where there is none. */
export async function newestPublishReport(
  db: Queryable,
  version: string,
  outcome?: PublishReport['outcome'],
): Promise<PublishReport | null> {
  const { rows } = await db.query<ReportRow>(
    `SELECT ${COLUMNS} FROM publish_reports
     WHERE version = $1 AND ($2::text IS NULL OR outcome = $2) ORDER BY seq DESC LIMIT 1`,
    [version, outcome ?? null],
  );
  return rows[0] ? toReport(rows[0]) : null;
}
