/**
 * Traced messages of one client, in one direction, that wait for an acknowledgement. Main thread; only while tracing is on.
 *
 * Always true: a message is found by its packet id, which is in use once at a time; whatever way a connection ends, each
 * trace that was held is ended. Attributes follow the semantic conventions of OpenTelemetry for messaging where they fit.
 */
import type { MessageTracer, OpenTrace } from './message-tracer.js';

const topicBytesMax = 256;

/** See the file header. */
export class OpenTraces {
  readonly #tracer: MessageTracer;
  readonly #clientId: string;
  readonly #waiting = new Map<number, OpenTrace>();
  #current: OpenTrace | undefined;

  constructor(tracer: MessageTracer, clientId: string) {
    this.#tracer = tracer;
    this.#clientId = clientId;
  }

  /**
   * A message with the stored properties `buffer[propertiesStart, propertiesEnd)` begins its way; `packetId` 0: no
   * acknowledgement follows. True when it is traced: then call `turn` before the next message begins.
   */
  begin(buffer: Buffer, propertiesStart: number, propertiesEnd: number, packetId: number): boolean {
    const trace = this.#tracer.begin(buffer, propertiesStart, propertiesEnd);
    this.#current = trace;
    if (trace === undefined) return false;
    if (packetId !== 0 && !this.#waiting.has(packetId) && this.#tracer.hold()) {
      this.#waiting.set(packetId, trace);
    }
    return true;
  }

  /** It is routed, or written to the consumer. The topic is `buffer[topicStart, topicEnd)`. */
  turn(
    name: 'publish' | 'deliver',
    buffer: Buffer,
    topicStart: number,
    topicEnd: number,
    more: Readonly<Record<string, number>>,
  ): void {
    const trace = this.#current;
    if (trace === undefined) return;
    this.#current = undefined;
    this.#tracer.turn(trace, name, {
      'messaging.system': 'mqtt',
      'messaging.destination.name': buffer.toString(
        'utf8',
        topicStart,
        Math.min(topicEnd, topicStart + topicBytesMax),
      ),
      'messaging.client.id': this.#clientId,
      ...more,
    });
  }

  /** The acknowledgement is there. */
  answered(packetId: number, name: 'store' | 'acknowledge', reason: number): void {
    if (this.#waiting.size === 0) return;
    const trace = this.#waiting.get(packetId);
    if (trace === undefined) return;
    this.#waiting.delete(packetId);
    this.#tracer.end(trace, name, reason);
  }

  /** No acknowledgement comes any more. */
  lost(name: 'store' | 'acknowledge'): void {
    for (const trace of this.#waiting.values()) this.#tracer.end(trace, name, undefined);
    this.#waiting.clear();
  }
}
