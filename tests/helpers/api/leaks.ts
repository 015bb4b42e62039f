/** What must never leave the process: stacks, paths, SQL, SQLSTATEs, names of drivers, keys. */

const LEAKS: Record<string, RegExp> = {
  stack: /\n\s+at |at \w+ \(|node:internal/,
  path: /node_modules|\/src\/|\.(?:ts|js):\d+|\/(?:home|usr|var|tmp|work)\//,
  sql: /\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.*\b(?:FROM|VALUES|SET|WHERE)\b|syntax error at or near|relation "/,
  driver: /PGlite|pg_|postgres|ECONN|ENOENT|sqlstate/i,
  key: /rk_live_[0-9A-Za-z]{10}_/,
};

/** Names of the kinds of leaks in a text. */
export function leaksIn(text: string): string[] {
  return Object.keys(LEAKS).filter((name) => LEAKS[name]!.test(text));
}
