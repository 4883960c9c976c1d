/**
 * Whether mosquitto's own clients and broker are installed. Runs in the test process.
 *
 * Always true: a missing program is a reason to skip, never a failure; nothing is installed here.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Whether mosquitto_pub and mosquitto_sub can be run. */
export function hasMosquittoClients(): boolean {
  // Both print their help and exit with 1; only a missing program gives an error.
  return ['mosquitto_pub', 'mosquitto_sub'].every((name) => spawnSync(name, ['--help']).error === undefined);
}

/** Whether the mosquitto broker can be run. */
export function hasMosquittoBroker(): boolean {
  return existsSync('/usr/sbin/mosquitto') || spawnSync('mosquitto', ['-h']).error === undefined;
}
