/** Access control for gateways under test: everything is allowed but one text. Runs in the test process. */
import type { AccessControl } from '../../src/auth/access.js';

/** Denies publishing to the topic `denied` and subscribing to the filter `denied`. */
export function accessWithout(denied: string): AccessControl {
  return {
    mayPublish: (_subject, topicName) => topicName !== denied,
    mayPublishBytes: (_subject, topic, start, end) => topic.toString('utf8', start, end) !== denied,
    maySubscribe: (_subject, filter) => filter !== denied,
    reload: () => true,
    onChange: () => undefined,
    close: () => undefined,
  };
}
