/**
 * What the REST API tells of a retained message. In the browser; types only.
 *
 * Always true: names are the API's; the payload is base64 and only there when one message is asked for.
 * Source: `GET /mqtt/retainer/messages`, `GET /mqtt/retainer/message/:topic`.
 */

/** A retained message. */
export interface Retained {
  readonly topic: string;
  readonly qos: number;
  /** Bytes of the payload. */
  readonly payload_size: number;
  /** Seconds that are left. */
  readonly message_expiry_interval?: number;
}

/** The same with its content. */
export interface RetainedContent extends Retained {
  readonly payload: string;
  readonly properties?: {
    readonly user_properties?: Readonly<Record<string, string | readonly string[]>>;
    readonly content_type?: string;
    readonly response_topic?: string;
  };
}
