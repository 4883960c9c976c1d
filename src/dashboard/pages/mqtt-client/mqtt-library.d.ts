/**
 * The part of the library mqtt.js that the page uses, as its bundle for browsers has it. Types only.
 *
 * Always true: what stands here is what the library's documentation promises; its own types speak of Node's streams, which a
 * page does not have. Gives up everything else of the library.
 */
declare module 'mqtt/dist/mqtt.esm' {
  /** User properties: a name that comes more than once has a list. */
  type UserProperties = Record<string, string | string[]>;

  /** A PUBLISH that has arrived. */
  interface IncomingPublish {
    readonly topic: string;
    readonly payload: Uint8Array;
    readonly qos: 0 | 1 | 2;
    readonly retain: boolean;
    readonly dup: boolean;
    readonly properties?: {
      readonly userProperties?: UserProperties;
      readonly contentType?: string;
      readonly responseTopic?: string;
      readonly messageExpiryInterval?: number;
    };
  }

  /** A packet with a reason, such as CONNACK, DISCONNECT and PUBACK. */
  interface ReasonPacket {
    readonly cmd?: string;
    readonly reasonCode?: number;
    readonly sessionPresent?: boolean;
    readonly granted?: readonly (number | { readonly qos: number })[];
    readonly properties?: { readonly reasonString?: string; readonly assignedClientIdentifier?: string };
  }

  /** An error of the library; `code` is the reason code when the broker gave one. */
  interface LibraryError extends Error {
    readonly code?: number | string;
  }

  /** A client. */
  interface LibraryClient {
    readonly connected: boolean;
    /** Called for every message; the next one is handled after `done`, and a QoS 1 message is acknowledged by it. */
    handleMessage: (packet: IncomingPublish, done: (error?: Error) => void) => void;
    on(event: 'connect' | 'disconnect' | 'packetreceive', listener: (packet: ReasonPacket) => void): void;
    on(
      event: 'message',
      listener: (topic: string, payload: Uint8Array, packet: IncomingPublish) => void,
    ): void;
    on(event: 'error', listener: (error: LibraryError) => void): void;
    on(event: 'close', listener: () => void): void;
    subscribe(
      filter: string,
      options: { readonly qos: 0 | 1 | 2 },
      done: (error: LibraryError | null, granted?: unknown, packet?: ReasonPacket) => void,
    ): void;
    unsubscribe(filter: string, done: (error?: LibraryError | null) => void): void;
    publish(
      topic: string,
      payload: string | Uint8Array,
      options: object,
      done: (error?: LibraryError | null, packet?: ReasonPacket) => void,
    ): void;
    end(force: boolean, done?: () => void): void;
  }

  const library: { connect(options: object): LibraryClient };
  export default library;
  export type { IncomingPublish, LibraryClient, LibraryError, ReasonPacket, UserProperties };
}
