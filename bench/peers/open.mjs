/**
 * Starts or finds the one broker that the option `--broker` of a suite asks for.
 *
 * Always true: the answer is a Target that listens; anything else is an error that says what is missing.
 */
import { OptionError } from '../jobs/options.mjs';
import { spawnMosquitto } from './mosquitto.mjs';
import { spawnSluice } from './sluice.mjs';
import { Target } from './target.mjs';

/** Starts or finds the broker that `options` ask for. */
export async function openTarget(options) {
  if (options.broker === 'spawn') return spawnSluice(options);
  if (options.broker === 'mosquitto') return spawnMosquitto();
  const [, host, port] = /^(?:mqtt:\/\/)?(.+):(\d+)$/.exec(options.broker) ?? [];
  if (host === undefined)
    throw new OptionError(`--broker takes spawn, mosquitto or HOST:PORT, not '${options.broker}'`);
  const apiUrl = options.api.replace(/\/+$/, '');
  return new Target({
    name: options.broker,
    host,
    port: Number(port),
    apiUrl,
    apiKey: options.apiKey,
    pid: options.brokerPid,
  });
}
