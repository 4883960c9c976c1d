/**
 * An ACL file in a folder of its own, and access control over it. Test process.
 *
 * Always true: the folder and the watch of the file end with the running test.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  createAccessControl,
  type AccessConfig,
  type AccessControl,
  type Subject,
} from '../../src/auth/access.js';
import type { Identity } from '../../src/auth/authenticator.js';
import { CounterReader, Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { testScope } from '../harness/scope.js';

/** Access control and what a test needs to look at it. */
export interface AclFixture {
  readonly access: AccessControl;
  readonly counters: CounterReader;
  /** Lines of the log. */
  readonly log: string[];
  /** Writes another text to the file. */
  readonly write: (text: string) => void;
}

/** A file with `text` that ends with the test; returns its path. */
export function aclFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-acl-'));
  testScope().add(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'acl');
  writeFileSync(file, text);
  return file;
}

/** Access control over a file with `text`. Call it inside a test. */
export function aclFixture(text: string | undefined, config: Partial<AccessConfig> = {}): AclFixture {
  const file = text === undefined ? undefined : aclFile(text);
  const memory = createCounterMemory(0);
  const log: string[] = [];
  const note = (fields: object, message: string): void => {
    const { err } = fields as { err?: Error };
    log.push(err === undefined ? message : `${message}: ${err.message}`);
  };
  const access = createAccessControl(
    { aclFile: file, aclChecksQueueFilter: true, ...config },
    { info: note, error: note },
    new Counters(memory, MAIN_BLOCK),
  );
  if (access === undefined) throw new Error('nothing is configured');
  testScope().add(() => access.close());
  return {
    access,
    log,
    counters: new CounterReader(memory),
    write(changed) {
      if (file !== undefined) writeFileSync(file, changed);
    },
  };
}

/** A client from this machine. */
export function subject(
  clientId: string,
  username?: string,
  more: { peername?: string; identity?: Identity } = {},
): Subject {
  return { clientId, username, peername: '127.0.0.1:50000', ...more };
}

/** What a client may do with each topic: `r`, `w`, both or neither, with QoS 1 and not retained. */
export function rights(
  access: AccessControl,
  who: Subject,
  topics: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    topics.map((topic) => {
      const read = access.maySubscribe(who, topic, 1) ? 'r' : '';
      const write = !/[+#]/.test(topic) && access.mayPublish(who, topic, 1, false) ? 'w' : '';
      return [topic, read + write];
    }),
  );
}
