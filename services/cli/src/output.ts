/**
 * How commands speak: the result on standard output (one JSON document with `--json`, text for people
 * otherwise), everything else on standard error.
 */
import { excerpt, NestrecError } from '@nestrec/errors';
import cliProgress from 'cli-progress';
import Table from 'cli-table3';

export interface Streams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

export interface Progress {
  /** Moves the bar to `value` of its total and shows `text` behind it. */
  update(value: number, text?: string): void;
  setTotal(total: number): void;
  stop(): void;
}

export interface Output {
  /** The command's result: `value` with --json, `text` otherwise. */
  result(value: unknown, text: string): void;
  /** A line for people, on standard error. */
  note(text: string): void;
  /** With --json: the error in place of a result. */
  failure(error: unknown): void;
  /** Shows the cursor again that a bar has hidden. */
  restoreTerminal(): void;
  progress(label: string, total: number): Progress;
}

const LINE_INTERVAL_MS = 5_000;

export function createOutput(streams: Streams, json: boolean): Output {
  return {
    result: (value, text) => {
      streams.stdout.write(json ? `${JSON.stringify(value, jsonValue, 2)}\n` : `${text}\n`);
    },
    note: (text) => {
      streams.stderr.write(`${text}\n`);
    },
    failure: (error) => {
      if (json) streams.stdout.write(`${JSON.stringify(error, null, 2)}\n`);
    },
    restoreTerminal: () => {
      if (streams.stderr.isTTY === true) streams.stderr.write('\n\u001b[?25h');
    },
    progress: (label, total) =>
      streams.stderr.isTTY === true
        ? barProgress(label, total, streams.stderr)
        : lineProgress(label, total, streams.stderr),
  };
}

/** JSON has no bigint; positions in logs are written as decimal strings. */
const jsonValue = (_key: string, value: unknown) =>
  typeof value === 'bigint' ? value.toString() : value;

function barProgress(label: string, total: number, stream: NodeJS.WritableStream): Progress {
  const bar = new cliProgress.SingleBar(
    {
      format: `${label} {bar} {percentage}% {text}`,
      stream,
      hideCursor: true,
      fps: 8,
      // Its handler would take the first Ctrl-C and let the work go on.
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0, { text: '' });
  return {
    update: (value, text) => bar.update(value, text === undefined ? {} : { text }),
    setTotal: (value) => bar.setTotal(value),
    stop: () => bar.stop(),
  };
}

/** Without a terminal: a line at most every five seconds, and one at the end. */
function lineProgress(label: string, total: number, stream: NodeJS.WritableStream): Progress {
  let [current, of, detail, lastMs] = [0, total, '', Date.now()];
  const line = () => {
    const percent = of === 0 ? 100 : Math.floor((100 * current) / of);
    stream.write(`${label} ${percent}% ${detail}`.trimEnd() + '\n');
  };
  return {
    update: (value, text) => {
      current = value;
      detail = text ?? detail;
      if (Date.now() - lastMs < LINE_INTERVAL_MS) return;
      lastMs = Date.now();
      line();
    },
    setTotal: (value) => {
      of = value;
    },
    stop: line,
  };
}

/** A plain table: a head row and rows of text; numbers are the caller's to format. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

/** What the command line says of an error: catalogue errors in their words, others without a stack. */
export function renderError(error: unknown): { text: string; json: unknown; exitCode: number } {
  if (error instanceof NestrecError) {
    return {
      text: [`nestrec: ${error.message} [${error.code}]`, ...fieldLines(error)].join('\n'),
      json: { error: { code: error.code, message: error.message, fields: error.fields } },
      exitCode: error.traits.exitCode,
    };
  }
  const message = error instanceof Error ? error.message : excerpt(error);
  return {
    text: `nestrec: ${message} [internal_error]\nRun again with NESTREC_LOG_LEVEL=debug for the stack.`,
    json: { error: { code: 'internal_error', message, fields: [] } },
    exitCode: 70,
  };
}

/** Faults by field, a line each, where the message does not list them already. */
function fieldLines({ message, fields }: NestrecError): string[] {
  return fields
    .map(({ path, got, want }) => `  ${path}: got ${got}, wanted ${want}`)
    .filter((line) => !message.includes(line.trim()));
}
