/**
 * The programs of examples/, run against a broker of the test. Runs in the test process.
 *
 * Always true: the programs are the shipped ones, unchanged; only host, port and the options that they
 * offer are given.
 */
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'vitest';
import type { Broker } from './broker.js';
import { providePaho } from './paho.js';
import { Script } from './script.js';
import type { Scope } from './scope.js';

/** The Python that runs the examples; skips the test with the reason when there is none. */
export async function pythonFor(context: TestContext): Promise<string> {
  const paho = await providePaho();
  if ('unavailable' in paho) return context.skip(paho.unavailable);
  return paho.python;
}

/** Starts `examples/<file>` with Python against `broker`. */
export function runExample(
  scope: Scope,
  python: string,
  broker: Broker,
  file: string,
  options: readonly string[] = [],
): Script {
  const path = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url));
  return new Script(scope, python, [
    path,
    '--host',
    broker.mqttHost,
    '--port',
    String(broker.mqttPort),
    ...options,
  ]);
}
