/**
 * Publishing and rolling back on request of an administrator, over the publishing package.
 *
 * A publish takes minutes where there are many items, so a request only begins one; how far it is stands in
 * the database, where every API process finds it.
 */
import type { Database } from '@nestrec/database';
import {
  InvalidArtifact,
  isError,
  ModelNotFound,
  NestrecError,
  PublishConflict,
  PublishRefused,
} from '@nestrec/errors';
import {
  publishVersion,
  rollback,
  shortlistIndexOf,
  type PublishProgress,
  type ShortlistForm,
} from '@nestrec/publishing';
import { loadArtifactAside, type Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import {
  beginPublishRun,
  endPublishRun,
  getPublishRun,
  getVersion,
  listTiers,
  reportPublishRun,
  type ModelVersion,
} from '@nestrec/storage';
import type { Publisher } from './deps.js';

export type PublishEnd = 'published' | 'refused' | 'failed';

/** How often a run says that it lives. */
const HEARTBEAT_MS = 5_000;

export interface PublisherOptions {
  /** Versions besides the published one whose vectors stay. Default: as `publishVersion`. */
  readonly keepVersions?: number | undefined;
  /** What shortlists are made by. Default: as `publishVersion`. */
  readonly shortlistForm?: ShortlistForm | undefined;
  /** Reads artifacts. Default: beside the thread that answers, which they would hold up for seconds. */
  readonly loadArtifact?: (path: string) => Promise<Artifact>;
  /** Told how each publish ended that was begun here. */
  readonly onEnded?: (end: PublishEnd) => void;
}

export function createPublisher(
  db: Database,
  logger: Logger,
  {
    keepVersions,
    shortlistForm,
    loadArtifact = loadArtifactAside,
    onEnded = () => undefined,
  }: PublisherOptions = {},
): Publisher {
  const execute = async (runId: string, known: ModelVersion, force: string | null) => {
    let progress: PublishProgress | null = null;
    const report = () =>
      reportPublishRun(
        db,
        runId,
        progress?.phase ?? 'check',
        progress === null ? 0 : progress.done / Math.max(1, progress.total),
      ).catch((error: unknown) => logger.debug({ err: error }, 'progress not written'));
    const heartbeat = setInterval(() => void report(), HEARTBEAT_MS);
    heartbeat.unref();
    try {
      const onProgress = (now: PublishProgress) => {
        const isNewPhase = now.phase !== progress?.phase;
        progress = now;
        if (isNewPhase) void report();
      };
      await publishVersion({
        ...{ db, path: known.path, logger, onProgress, loadArtifact },
        artifact: await loadArtifact(known.path),
        tiers: await listTiers(db),
        ...(force === null ? {} : { force: true, forcedBy: force }),
        ...(keepVersions === undefined ? {} : { keepPrevious: keepVersions }),
        ...(shortlistForm === undefined ? {} : { shortlistIndex: shortlistIndexOf(shortlistForm) }),
      });
      await end(runId, known.version, null);
    } catch (error) {
      await end(runId, known.version, error);
    } finally {
      clearInterval(heartbeat);
    }
  };
  const end = async (runId: string, version: string, error: unknown) => {
    const state = error === null ? 'published' : isRefusal(error) ? 'refused' : 'failed';
    onEnded(state);
    if (error === null) logger.info({ version }, 'a model version was published');
    else logger.error({ err: error, version }, 'a model version was not published');
    const known = error instanceof NestrecError ? error : null;
    await endPublishRun(db, runId, {
      state,
      code: error === null ? null : (known?.code ?? 'internal_error'),
      // What went wrong inside stays in the log; why a candidate is refused, or who was at work, is the caller's to know.
      detail: isRefusal(error) || isError(error, PublishConflict) ? (known?.detail ?? null) : null,
    }).catch((failure: unknown) =>
      logger.error({ err: failure, version }, 'its end is not written'),
    );
  };
  return {
    publish: async (version, force) => {
      const known = await getVersion(db, version);
      if (known === null) throw new ModelNotFound({ detail: 'GET /v1/models lists the versions.' });
      const runId = await beginPublishRun(db, version);
      if (runId !== null) void execute(runId, known, force);
      const run = await getPublishRun(db, version);
      return run!;
    },
    publishing: (version) => getPublishRun(db, version),
    rollback: async (from) => {
      // What the version lacks is embedded while it serves; the log says how that went.
      const { version, rolledBack } = await rollback(db, { from, logger, loadArtifact });
      return { published: version, previous: rolledBack };
    },
  };
}

const isRefusal = (error: unknown) =>
  isError(error, PublishRefused) || isError(error, InvalidArtifact);
