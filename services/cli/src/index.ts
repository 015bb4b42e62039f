/** The command nestrec, and the all-in-one process. */
export { backendTable } from './backend.js';
export { runCli } from './program.js';
export { cliSettings, type CliConfig } from './settings.js';
export {
  QUERY_TOLERANCE,
  verifyStates,
  type StatesReport,
  type VerifyStatesOptions,
} from './states/verify-states.js';
