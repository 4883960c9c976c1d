/**
 * What the surroundings ask of a test run. Runs in the test process.
 *
 * SLUICE_TEST_FULL=1: full size and the rates of the examples. SLUICE_TEST_NODE_FLAGS: flags of the node
 * binary that runs the broker, such as --no-addons. SLUICE_STORE: the broker's log driver.
 * SLUICE_TEST_SEED: repeats a random run. Always true: the broker sees none of the test's own variables.
 */

/** Full size instead of the quick one. */
export const fullSize = process.env['SLUICE_TEST_FULL'] === '1';

/** Flags for the node binary that runs the broker. */
export const nodeFlags: readonly string[] = (process.env['SLUICE_TEST_NODE_FLAGS'] ?? '')
  .split(' ')
  .filter((flag) => flag !== '');

/** Seed of this run's random choices; the tests print it. */
export const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000);

/** The environment for a broker: ours without Sluice's variables, except the log driver, plus `extra`. */
export function brokerEnvironment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(?:SLUICE|EMQX|VITEST)_/.test(name) && name !== 'NODE_OPTIONS') env[name] = value;
  }
  if (process.env['SLUICE_STORE'] !== undefined) env['SLUICE_STORE'] = process.env['SLUICE_STORE'];
  return { ...env, ...extra };
}

/** A small repeatable generator (mulberry32): values in [0, 1). */
export function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
