/** Collects what connections are known by, as an authenticator sees it. Runs in the test process. */
import type { AuthRequest, Authenticator } from '../../src/auth/authenticator.js';
import type { ConnectionFacts } from '../../src/auth/connection-facts.js';

/** An authenticator that lets everybody in and keeps the facts by client id. */
export class FactsCollector implements Authenticator {
  readonly #facts = new Map<string, ConnectionFacts>();

  authenticate({ clientId, username, facts }: AuthRequest): {
    kind: 'success';
    identity: { username: string | undefined };
  } {
    this.#facts.set(clientId, facts);
    return { kind: 'success', identity: { username } };
  }

  exchange(): undefined {
    return undefined;
  }

  close(): void {
    this.#facts.clear();
  }

  /** Throws when there was no such client. */
  of(clientId: string): ConnectionFacts {
    const found = this.#facts.get(clientId);
    if (found === undefined) throw new Error(`no client ${clientId}`);
    return found;
  }
}
