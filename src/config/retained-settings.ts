/**
 * Settings of retained messages. Runs on the main thread.
 *
 * Always true: every retained message is held in memory and in the log, so these bounds are about both. Lowering a
 * bound deletes nothing: new topics are refused until there is room again.
 */
import { GB, MB } from './unit.js';
import { bytes, integer } from './variable.js';

/** How many retained messages there may be, how large they may be, and how fast a subscriber is fed with them. */
export const retainedSettings = {
  retainedMax: integer('SLUICE_RETAINED_MAX', {
    live: true,
    fallback: 1_000_000,
    min: 0,
    max: 100_000_000,
    unit: 'messages',
    help: 'Retained messages; with one more topic the message is delivered and not retained. 0 retains nothing.',
  }),
  retainedBytesMax: bytes('SLUICE_RETAINED_MAX_BYTES', {
    live: true,
    fallback: 256 * MB,
    min: 0,
    max: 64 * GB,
    help: 'Topics, properties and payloads of all retained messages together.',
  }),
  retainedMessageBytesMax: bytes('SLUICE_RETAINED_MESSAGE_MAX_BYTES', {
    live: true,
    fallback: MB,
    min: 0,
    max: 64 * MB,
    help: 'Topic, properties and payload of one retained message; a larger one is delivered and not retained.',
  }),
  retainedSliceMax: integer('SLUICE_RETAINED_SLICE', {
    fallback: 500,
    min: 1,
    max: 100_000,
    unit: 'messages',
    help: 'Retained messages sent to new subscriptions, of all clients together, before other work has its turn.',
  }),
};
