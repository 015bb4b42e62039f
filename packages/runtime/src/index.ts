/** Configuration, logging, metrics, clock, readiness, shutdown, atomic files. */
export {
  booleanSetting,
  choiceSetting,
  describeConfig,
  durationSetting,
  envExample,
  integerSetting,
  loadConfig,
  textSetting,
  type Config,
  type ConfigSpec,
  type Environment,
  type Setting,
} from './config.js';
export {
  createLogger,
  LOG_LEVELS,
  silentLogger,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from './logger.js';
export {
  createMetrics,
  HTTP_DURATION_BUCKETS_SECONDS,
  type Counter,
  type Gauge,
  type Histogram,
  type MetricsRegistry,
} from './metrics.js';
export { manualClock, systemClock, type Clock, type ManualClock } from './clock.js';
export {
  removeStaleTemporaries,
  removeTemporariesOf,
  writeFileAtomic,
  writeFolderAtomic,
} from './atomic-files.js';
export { createShutdown, SHUTDOWN_LIMIT_MS, stopOnSignals, type Shutdown } from './shutdown.js';
export { startableBeside, startThread, type Startable } from './threads.js';
export { createUserHash } from './user-hash.js';
export {
  createReadiness,
  createReadinessGate,
  type ReadinessCheck,
  type ReadinessGate,
  type Verdict,
} from './readiness.js';
export { logSettings } from './log-settings.js';
export {
  startOperationsServer,
  type OperationsServer,
  type OperationsServerOptions,
} from './operations-server.js';
