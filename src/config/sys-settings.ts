/**
 * Settings of what the broker says about itself under `$SYS`, and of wills. Runs on the main thread.
 *
 * Always true: the interval is the only clock of the `$SYS` topics; 0 turns them off, and events are independent of it.
 * Source: `sys_interval` of Mosquitto, `sys_topics` of EMQX.
 */
import { GB, MB } from './unit.js';
import { bytes, flag, integer, seconds } from './variable.js';

/** What the broker says about itself. */
export const sysSettings = {
  sysIntervalS: seconds('SLUICE_SYS_INTERVAL', {
    fallback: 10,
    min: 0,
    max: 86_400,
    help: 'Time between two updates of the `$SYS/broker` topics; 0 turns them off.',
  }),
  sysEvents: flag('SLUICE_SYS_EVENTS', {
    fallback: true,
    help: 'Publishes a message under `$SYS/brokers/sluice/clients` when a client connects or disconnects.',
  }),
  sysEventsPerSecondMax: integer('SLUICE_SYS_EVENTS_RATE', {
    fallback: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'messages',
    help: 'Such events per second; those beyond are dropped and counted.',
  }),
};

/** What is kept for wills. */
export const willSettings = {
  willBytesMax: bytes('SLUICE_WILL_BYTES', {
    fallback: 256 * MB,
    min: MB,
    max: 1024 * GB,
    help: 'Memory for the wills of all clients; a CONNECT whose will would exceed it is refused with 0x97.',
  }),
};
