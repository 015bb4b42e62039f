/**
 * Asks an address once, for the health checks of containers: ends with 0 when the answer is 2xx, else with 1 and the
 * reason on standard error. The image has no curl.
 *
 * Run: node deploy/probe.mjs URL
 */
const TIMEOUT_MS = 3_000;

const url = process.argv[2] ?? '';
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) {
    process.stderr.write(`${url}: ${response.status} ${(await response.text()).slice(0, 500)}\n`);
    process.exitCode = 1;
  }
} catch (error) {
  process.stderr.write(`${url}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
