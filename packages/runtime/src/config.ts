/**
 * Typed settings of a process, parsed from environment variables in one go: all faults are reported at
 * once, each with name, got, wanted. Only main.ts reads `process.env`, and hands it here.
 *
 * An empty value is not an absent one: `PORT=` is a fault, not the default.
 */
import { excerpt, InvalidConfig, type FieldFault } from '@nestrec/errors';
import { distance } from 'fastest-levenshtein';

export interface Setting<T> {
  /** Name of the environment variable. */
  readonly env: string;
  readonly description: string;
  /** Unit of the value, as in `ms`; null where it has none. */
  readonly unit: string | null;
  /** What a valid value looks like, for error texts and `.env.example`. */
  readonly want: string;
  readonly secret: boolean;
  readonly default: T;
  /** The default as it would be written in the environment; null where it is unset. */
  readonly defaultText: string | null;
  /** The parsed value, or undefined where `text` is not valid. */
  readonly parse: (text: string) => T | undefined;
}

export type ConfigSpec = Readonly<Record<string, Setting<unknown>>>;
export type Config<S extends ConfigSpec> = { readonly [K in keyof S]: S[K]['default'] };
export type Environment = Readonly<Record<string, string | undefined>>;

interface Common {
  env: string;
  description: string;
  secret?: boolean;
}

export function integerSetting<D extends number | null>(
  options: Common & { default: D; min: number; max: number; unit?: string },
): Setting<D | number> {
  const { min, max } = options;
  return {
    ...base(options, `an integer from ${min} to ${max}`, options.unit),
    default: options.default,
    defaultText: options.default === null ? null : String(options.default),
    parse: (text) => {
      if (!/^-?\d{1,15}$/.test(text)) return undefined;
      const value = Number(text);
      return value >= min && value <= max ? value : undefined;
    },
  };
}

export function textSetting<D extends string | null>(
  options: Common & { default: D; want?: string; pattern?: RegExp },
): Setting<D | string> {
  return {
    ...base(options, options.want ?? 'a text that is not empty'),
    default: options.default,
    defaultText: options.default === null ? null : String(options.default),
    parse: (text) =>
      text.trim().length > 0 && (options.pattern?.test(text) ?? true) ? text : undefined,
  };
}

export function choiceSetting<const C extends readonly string[], D extends C[number] | null>(
  options: Common & { choices: C; default: D },
): Setting<D | C[number]> {
  return {
    ...base(options, `one of ${options.choices.join(', ')}`),
    default: options.default,
    defaultText: options.default === null ? null : String(options.default),
    parse: (text) => options.choices.find((choice) => choice === text),
  };
}

export function booleanSetting(options: Common & { default: boolean }): Setting<boolean> {
  return {
    ...base(options, 'true or false'),
    default: options.default,
    defaultText: options.default === null ? null : String(options.default),
    parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  };
}

const MS_PER_UNIT: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration with its unit, as in `500ms` or `30s`; the value is in milliseconds. */
export function durationSetting(
  options: Common & { defaultMs: number; minMs: number; maxMs: number },
): Setting<number> {
  return {
    ...base(options, `a duration with a unit (500ms, 30s, 5m, 1h)`),
    default: options.defaultMs,
    defaultText: `${options.defaultMs}ms`,
    parse: (text) => {
      const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
      if (match === null) return undefined;
      const value = Number(match[1]) * MS_PER_UNIT[match[2]!]!;
      return value >= options.minMs && value <= options.maxMs ? value : undefined;
    },
  };
}

function base(options: Common, want: string, unit?: string) {
  return {
    env: options.env,
    description: options.description,
    unit: unit ?? null,
    want,
    secret: options.secret ?? false,
  };
}

/**
 * Variables with our prefix that other processes or the tests read: one environment may serve them all.
 * A test holds this list to the settings of every process.
 */
const READ_ELSEWHERE = [
  'NESTREC_DATA_DIR',
  'NESTREC_LOG_HASH_KEY',
  'NESTREC_OPEN_OPERATIONS',
  'NESTREC_DRAIN_DELAY',
  'NESTREC_TRUSTED_PROXIES',
  'NESTREC_MAX_IN_FLIGHT',
  'NESTREC_MAX_LOOP_DELAY',
  'NESTREC_BODY_MIN_RATE',
  'NESTREC_BODY_WINDOW',
  'NESTREC_BACKEND',
  'NESTREC_TRAIN_WORKERS',
  'NESTREC_TRAIN_NICE',
  'NESTREC_DEMO_SCALE',
  'NESTREC_EVENTS_IN_MEMORY',
  'NESTREC_VERIFY_INTERVAL',
  'NESTREC_INGEST_BATCH',
  'NESTREC_INGEST_CONCURRENCY',
  'NESTREC_INGEST_PORT',
  'NESTREC_KEEP_VERSIONS',
  'NESTREC_SHORTLIST_INDEX',
  'NESTREC_RETRAIN_CRON',
  'NESTREC_RETRAIN_MODE',
  'NESTREC_TRAINER_PORT',
  'NESTREC_REQUIRE_SERVICES',
  'NESTREC_KAFKA_VERSION',
  'NESTREC_SHARED_DATA',
  'NESTREC_KILLS',
  'NESTREC_CHILDREN',
];
const SUGGESTION_DISTANCE = 4;
/** KAFKA_ is not our prefix alone: only what is nearly a name of ours is taken for one. */
const MISTYPED_DISTANCE = 2;

/**
 * Parses `env` by `spec`.
 * @throws InvalidConfig with one fault per bad or unknown variable (exit code 78).
 */
export function loadConfig<S extends ConfigSpec>(spec: S, env: Environment): Config<S> {
  const faults: FieldFault[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(spec)) {
    const text = env[setting.env];
    const value = text === undefined ? setting.default : setting.parse(text);
    if (value === undefined) {
      faults.push({
        path: setting.env,
        got: setting.secret ? '(secret)' : `"${excerpt(text ?? '')}"`,
        want: setting.want,
      });
    }
    config[key] = value;
  }
  faults.push(...unknownVariables(spec, env));
  if (faults.length > 0) {
    const lines = faults.map((f) => `  ${f.path}: got ${f.got}, wanted ${f.want}`);
    throw new InvalidConfig({
      fields: faults,
      detail: `${faults.length} fault(s) in the environment:\n${lines.join('\n')}\nCorrect or unset them; \`nestrec config check\` lists every setting.`,
    });
  }
  return config as Config<S>;
}

function unknownVariables(spec: ConfigSpec, env: Environment): FieldFault[] {
  const known = [...Object.values(spec).map((setting) => setting.env), ...READ_ELSEWHERE];
  const mistyped = (name: string) =>
    name.startsWith('KAFKA_') && known.some((one) => distance(name, one) <= MISTYPED_DISTANCE);
  return Object.keys(env)
    .filter((name) => !known.includes(name))
    .filter((name) => name.startsWith('NESTREC_') || mistyped(name))
    .map((name) => {
      const nearest = known.reduce((a, b) => (distance(name, a) <= distance(name, b) ? a : b));
      const close = distance(name, nearest) <= SUGGESTION_DISTANCE;
      return {
        path: name,
        got: 'a variable that no setting has',
        want: close ? `${nearest} (did you mean this?)` : 'no such variable',
      };
    });
}

/** The effective values with secrets hidden, for the start-up log and `nestrec config check`. */
export function describeConfig<S extends ConfigSpec>(
  spec: S,
  config: Config<S>,
): { env: string; value: unknown; default: unknown; unit: string | null; description: string }[] {
  return Object.entries(spec).map(([key, setting]) => {
    const value = config[key as keyof S];
    return {
      env: setting.env,
      value: setting.secret && value !== null ? '(secret)' : value,
      default: setting.default,
      unit: setting.unit,
      description: setting.description,
    };
  });
}

/** The text of `.env.example` for a spec: every setting, commented out, with its default. */
export function envExample(spec: ConfigSpec): string {
  return Object.values(spec)
    .map((setting) => {
      const unit = setting.unit === null ? '' : ` (${setting.unit})`;
      const unset = setting.defaultText === null ? '; unset by default' : '';
      return `# ${setting.description}${unit}\n# Wanted: ${setting.want}${unset}.\n#${setting.env}=${setting.defaultText ?? ''}\n`;
    })
    .join('\n');
}
