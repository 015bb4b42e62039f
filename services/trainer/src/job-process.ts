/**
 * Starts a training process and speaks with it. It has a process of its own so that serving, heartbeats and
 * probes never wait for a step, so that it can be made nice and killed, and so that what it does to memory ends
 * with it (decision 0028).
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serveDatabase, type Database } from '@nestrec/database';
import { startableBeside } from '@nestrec/runtime';
import type { ChildMessage, JobProgress, JobResult, ParentMessage, TrainingJob } from './job.js';

/** After `stop`: long enough for a checkpoint. */
const STOP_WITHIN_MS = 8_000;

export interface JobProcess {
  /** How it ended; or that it died without a word. */
  readonly result: Promise<JobResult>;
  /** Asks it to stop at the next safe point; kills it where it does not. */
  stop(): void;
  /** Kills it. */
  kill(): void;
}

export type StartJob = (
  job: TrainingJob,
  onProgress: (progress: JobProgress) => void,
) => JobProcess;

/** @param embedded the database that the process reaches through this one; null: it opens its own */
export const startJobProcess =
  (embedded: Database | null): StartJob =>
  (job, onProgress) => {
    const { file, execArgv } = startableBeside(import.meta.url, 'job-main');
    const child = fork(fileURLToPath(file), {
      ...(execArgv && { execArgv }),
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const tell = (message: ParentMessage) => {
      if (child.connected) child.send(message, () => undefined);
    };
    const server = embedded && serveDatabase(embedded, (database) => tell({ database }));
    let timer: NodeJS.Timeout | undefined;
    let stopping = false;
    const result = new Promise<JobResult>((resolve) => {
      let said: JobResult | null = null;
      child.on('message', (message: ChildMessage) => {
        if ('progress' in message) onProgress(message.progress);
        else if ('result' in message) said = message.result;
        else server?.take(message.database);
      });
      const end = (reason: string) => {
        clearTimeout(timer);
        void server?.close();
        const silent: JobResult = stopping ? { kind: 'interrupted' } : { kind: 'died', reason };
        resolve(said ?? silent);
      };
      child.once('error', (error) => end(`the training process could not run (${error.message})`));
      child.once('exit', (code, signal) => end(describeEnd(code, signal)));
    });
    tell({ job });
    const kill = () => {
      stopping = true;
      child.kill('SIGKILL');
    };
    return {
      result,
      kill,
      stop: () => {
        if (stopping) return;
        stopping = true;
        tell({ stop: true });
        timer = setTimeout(kill, STOP_WITHIN_MS);
      },
    };
  };

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  const memory = signal === 'SIGKILL' ? '; often that is the machine, short of memory' : '';
  return `the training process ended ${how} before its work was done${memory}`;
}
