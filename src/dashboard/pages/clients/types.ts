/**
 * What the REST API tells of a client, as far as these pages show it. In the browser; types only.
 *
 * Always true: names are the API's, which are EMQX's; what the broker does not know of a client, as the address of one that is
 * away, is not there. Source: `GET /clients`, `GET /clients/:clientid/subscriptions`.
 */

/** A client and its session. */
export interface Client {
  readonly clientid: string;
  readonly username: string | null;
  readonly connected: boolean;
  readonly ip_address?: string;
  readonly port?: number;
  readonly listener?: string;
  readonly proto_name?: string;
  readonly proto_ver?: number;
  readonly keepalive?: number;
  readonly clean_start?: boolean;
  /** Seconds that the session outlives its connection. */
  readonly expiry_interval: number;
  readonly created_at?: string;
  readonly connected_at?: string;
  readonly disconnected_at?: string;
  /** True when the session survives a restart of the broker. */
  readonly durable: boolean;
  readonly subscriptions_cnt: number;
  readonly inflight_cnt: number;
  readonly inflight_max: number;
  readonly mqueue_len: number;
  readonly recv_oct?: number;
  readonly send_oct?: number;
}

/** A subscription of one client. */
export interface Subscription {
  readonly clientid: string;
  readonly topic: string;
  readonly qos: number;
  /** No local. */
  readonly nl?: number;
  /** Retain as published. */
  readonly rap?: number;
  /** Retain handling. */
  readonly rh?: number;
  /** Present for subscriptions to queues. */
  readonly queue_state?: 'idle' | 'waiting' | 'attached';
}

/** `MQTT 5.0` and so on; empty when it is unknown. */
export function protocolName({ proto_ver: version }: Client): string {
  if (version === undefined) return '';
  return version === 5 ? 'MQTT 5.0' : version === 4 ? 'MQTT 3.1.1' : 'MQTT 3.1';
}
