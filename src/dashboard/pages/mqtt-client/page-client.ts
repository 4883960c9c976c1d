/**
 * One MQTT client of the page, over a WebSocket to the broker that served the page. In the browser.
 *
 * Always true: it lives until it is closed or the person signs out, also while another page is shown; it never connects again
 * by itself, so that what is shown is what was asked for. Messages are handled one after the other, each acknowledged when its
 * working time is over, as by a worker that does one thing at a time. A connection that was given up changes nothing any more.
 * The library is loaded with the first connection.
 */
import { signal } from '@preact/signals';
import type { LibraryClient, LibraryError } from 'mqtt/dist/mqtt.esm';

import { messageOf } from '../../base/api.js';
import { session } from '../../base/session.js';
import { reasonText } from './reason.js';
import { ReceivedMessages } from './received.js';
import { Repeater } from './repeat.js';

/** What a connection is made with. */
export interface ConnectSettings {
  readonly clientId: string;
  readonly version: '5' | '4';
  readonly username: string;
  readonly password: string;
  readonly cleanStart: boolean;
  /** Seconds that the broker keeps the session after the end of the connection; MQTT 5 only. */
  readonly sessionExpiryS: number;
}

/** What is published. */
export interface Publication {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly userProperties: readonly (readonly [string, string])[];
}

/** What stands in the form of a client that publishes. */
export interface Draft {
  readonly topic: string;
  readonly payload: string;
  readonly qos: '0' | '1' | '2';
  readonly retain: boolean;
  readonly userProperties: readonly (readonly [string, string])[];
  readonly count: string;
  readonly intervalMs: string;
}

/** A subscription that the broker has granted. */
export interface HeldSubscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
}

/** How the connection is doing. */
export type ConnectionState = 'closed' | 'connecting' | 'connected';

const connectTimeoutMs = 10_000;
const keepAliveS = 30;
/** Messages that the broker may send before the first of them is acknowledged; MQTT 5. */
const receiveMaximum = 100;

let lastNumber = 0;

/** See the file header. */
export class PageClient {
  readonly number = ++lastNumber;
  readonly state = signal<ConnectionState>('closed');
  /** Why the connection could not be made, or has ended; empty when nothing is wrong. */
  readonly fault = signal('');
  readonly settings = signal<ConnectSettings>({
    clientId: `dashboard-${Math.random().toString(36).slice(2, 8)}`,
    version: '5',
    username: '',
    password: '',
    cleanStart: true,
    sessionExpiryS: 0,
  });
  readonly subscriptions = signal<readonly HeldSubscription[]>([]);
  /** Time that a message takes before it is acknowledged, milliseconds. */
  readonly workMs = signal(0);
  readonly received = new ReceivedMessages();
  readonly repeater = new Repeater();
  /** What stands in the form; kept here, because the form is not there while another client is shown. */
  readonly draft = signal<Draft>({
    topic: '',
    payload: '',
    qos: '1',
    retain: false,
    userProperties: [],
    count: '1',
    intervalMs: '0',
  });
  #client: LibraryClient | undefined;
  /** Reason code of the last acknowledgement; the library does not hand out those that are no errors. */
  #acknowledged = 0;
  /** Counts attempts, so that one that was given up changes nothing any more. */
  #attempt = 0;

  /** Connects; `state` and `fault` tell how it went. */
  async connect(): Promise<void> {
    if (this.state.value !== 'closed') return;
    const attempt = ++this.#attempt;
    this.state.value = 'connecting';
    this.fault.value = '';
    let client: LibraryClient;
    try {
      const { default: mqtt } = await import('mqtt/dist/mqtt.esm');
      if (attempt !== this.#attempt) return;
      client = mqtt.connect(this.#options());
    } catch (error) {
      // What the library refuses to send, or the library itself when it could not be loaded.
      if (attempt === this.#attempt) this.#end(messageOf(error));
      return;
    }
    this.#client = client;
    const isCurrent = () => client === this.#client;
    client.handleMessage = (_packet, done) => {
      // What comes later is not shown, so it is not acknowledged: the broker has to give it to somebody else.
      const finish = () => {
        if (isCurrent()) done();
      };
      if (this.workMs.value === 0) finish();
      else setTimeout(finish, this.workMs.value);
    };
    client.on('connect', (connack) => {
      if (!isCurrent()) return;
      const assigned = connack.properties?.assignedClientIdentifier;
      if (assigned !== undefined) this.settings.value = { ...this.settings.value, clientId: assigned };
      if (connack.sessionPresent !== true) this.subscriptions.value = [];
      this.state.value = 'connected';
    });
    client.on('packetreceive', ({ cmd, reasonCode = 0 }) => {
      if (!isCurrent()) return;
      if (cmd === 'puback' || cmd === 'pubrec') this.#acknowledged = reasonCode;
    });
    client.on('message', (_topic, _payload, packet) => {
      if (isCurrent()) this.received.add(packet);
    });
    client.on('disconnect', ({ reasonCode = 0, properties }) => {
      if (!isCurrent()) return;
      this.fault.value = reasonText(reasonCode, properties?.reasonString);
    });
    client.on('error', (error) => {
      if (!isCurrent()) return;
      this.fault.value = connectFault(error);
      client.end(true);
    });
    client.on('close', () => {
      if (!isCurrent()) return;
      if (this.fault.value !== '') this.#end(this.fault.value);
      else if (this.state.value === 'connected') this.#end('The broker has closed the connection.');
      else this.#end('There was no connection. The broker may be gone, or your login too old: log in again.');
    });
  }

  /** Ends the connection, or the attempt to make one. */
  disconnect(): void {
    const client = this.#client;
    const wasConnected = this.state.value === 'connected';
    this.#end('');
    // Where there is no connection yet, the library would keep the farewell until there is one.
    client?.end(!wasConnected);
  }

  /** Subscribes; rejects with what the broker said. */
  async subscribe(filter: string, qos: 0 | 1 | 2): Promise<void> {
    const client = this.#connected();
    await new Promise<void>((resolve, reject) => {
      client.subscribe(filter, { qos }, (error, _granted, packet) => {
        const [granted = 0] = packet?.granted ?? [];
        const code = typeof granted === 'number' ? granted : granted.qos;
        if (code >= 0x80) reject(new Error(reasonText(code, packet?.properties?.reasonString)));
        else if (error !== null) reject(new Error(connectFault(error)));
        else resolve();
      });
    });
    const others = this.subscriptions.value.filter((held) => held.filter !== filter);
    this.subscriptions.value = [...others, { filter, qos }];
  }

  /** Ends a subscription. */
  async unsubscribe(filter: string): Promise<void> {
    const client = this.#connected();
    await new Promise<void>((resolve, reject) => {
      client.unsubscribe(filter, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(new Error(connectFault(error)));
      });
    });
    this.subscriptions.value = this.subscriptions.value.filter((held) => held.filter !== filter);
  }

  /** Publishes; resolves when it is sent (QoS 0) or acknowledged, to the reason code; rejects with what the broker said. */
  async publish({ topic, payload, qos, retain, userProperties }: Publication): Promise<number> {
    const client = this.#connected();
    const properties: Record<string, string | string[]> = {};
    for (const [name, value] of userProperties) {
      const known = properties[name];
      properties[name] = known === undefined ? value : [known, value].flat();
    }
    const hasProperties = this.settings.value.version === '5' && userProperties.length > 0;
    const options = {
      qos,
      retain,
      ...(hasProperties ? { properties: { userProperties: properties } } : {}),
    };
    return new Promise((resolve, reject) => {
      client.publish(topic, payload, options, (error, packet) => {
        if (error !== undefined && error !== null) {
          reject(new Error(connectFault(error, packet?.properties?.reasonString)));
        } else resolve(qos === 0 ? 0 : this.#acknowledged);
      });
    });
  }

  #options(): object {
    const { clientId, version, username, password, cleanStart, sessionExpiryS } = this.settings.value;
    const is5 = version === '5';
    const url = new URL('../mqtt', document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const token = session.value?.token ?? '';
    return {
      protocol: url.protocol.slice(0, -1),
      host: url.hostname,
      path: url.pathname,
      // The broker lets only people who are logged in to the dashboard in this way; MQTT's own authentication follows.
      createWebsocket: (_url: string, protocols: readonly string[]) =>
        new WebSocket(url, [...protocols, `sluice-token.${token}`]),
      protocolVersion: is5 ? 5 : 4,
      clientId,
      clean: cleanStart,
      ...(username === '' ? {} : { username }),
      ...(password === '' ? {} : { password }),
      // Answers to pings wait behind messages that are worked on.
      keepalive: this.workMs.value === 0 ? keepAliveS : 0,
      reconnectPeriod: 0,
      connectTimeout: connectTimeoutMs,
      // A timer in a worker would need a script that the policy of the page forbids.
      timerVariant: 'native',
      ...(is5 ? { properties: { receiveMaximum, sessionExpiryInterval: sessionExpiryS } } : {}),
    };
  }

  #connected(): LibraryClient {
    if (this.#client === undefined || this.state.value !== 'connected') {
      throw new Error('There is no connection.');
    }
    return this.#client;
  }

  #end(fault: string): void {
    this.#attempt += 1;
    this.#client = undefined;
    this.state.value = 'closed';
    this.fault.value = fault;
    if (this.settings.value.cleanStart) this.subscriptions.value = [];
  }
}

function connectFault(error: LibraryError, reasonString = ''): string {
  return typeof error.code === 'number' ? reasonText(error.code, reasonString) : error.message;
}
