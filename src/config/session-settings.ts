/**
 * Settings of sessions that outlive their connection. Runs on the main thread.
 *
 * Always true: what waits for such a session lies in the log of a shard, so these bounds are about disk, not memory;
 * past them the oldest message gives way, because the newest are worth most to a client that has been away.
 * Gives up: a bound over all sessions together; the disk's own is one.
 */
import { GB, KB, MB } from './unit.js';
import { bytes, integer } from './variable.js';

/** What a session that outlives its connection may hold. */
export const sessionSettings = {
  sessionMessagesMax: integer('SLUICE_SESSION_MESSAGES_MAX', {
    fallback: 1_000_000,
    min: 1,
    max: 1_000_000_000,
    unit: 'messages',
    help: 'Messages with QoS 1 or 2 that are stored for a session with Session Expiry; past it the oldest gives way.',
  }),
  sessionBytesMax: bytes('SLUICE_SESSION_BYTES_MAX', {
    fallback: 256 * MB,
    min: KB,
    max: 1024 * GB,
    help: 'The same in bytes of payload.',
  }),
};
