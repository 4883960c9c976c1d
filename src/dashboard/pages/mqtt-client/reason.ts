/**
 * Reason codes of MQTT as people read them. In the browser; pure.
 *
 * Always true: every code has a text, if only its number. MQTT 3.1.1 numbers the refusals of CONNACK from 1 to 5; its 0x80 of
 * SUBACK is the one that 5.0 calls unspecified. Source: MQTT 5.0 section 2.4, MQTT 3.1.1 section 3.2.2.3.
 */
const names: Readonly<Record<number, string>> = {
  0x00: 'Success',
  0x04: 'Disconnected with will message',
  0x10: 'Stored nowhere: nobody has subscribed',
  0x11: 'There was no such subscription',
  0x80: 'Refused without a reason',
  0x81: 'Malformed packet',
  0x82: 'Protocol error',
  0x83: 'Refused by a rule of this broker',
  0x84: 'This protocol version is not spoken',
  0x85: 'The client ID is not allowed',
  0x86: 'Wrong user name or password',
  0x87: 'Not authorized',
  0x88: 'Server unavailable',
  0x89: 'Server busy',
  0x8a: 'Banned',
  0x8b: 'Server shutting down',
  0x8d: 'Keep alive timeout',
  0x8e: 'Another client took over this client ID',
  0x8f: 'The topic filter is not valid',
  0x90: 'The topic name is not valid',
  0x91: 'Packet identifier in use',
  0x93: 'Receive maximum exceeded',
  0x94: 'Topic alias not valid',
  0x95: 'Packet too large',
  0x96: 'Messages come too fast',
  0x97: 'Quota exceeded',
  0x98: 'Disconnected by an operator',
  0x99: 'The payload is not what it says it is',
  0x9a: 'Retained messages are not supported',
  0x9b: 'This QoS is not supported',
  0x9e: 'Shared subscriptions are not supported',
  0x9f: 'Connections come too fast',
  0xa1: 'Subscription identifiers are not supported',
  0xa2: 'Wildcard subscriptions are not supported',
};

const connackNames3: Readonly<Record<number, string>> = {
  1: 'This protocol version is not spoken',
  2: 'The client ID is not allowed',
  3: 'Server unavailable',
  4: 'Wrong user name or password',
  5: 'Not authorized',
};

/** `Not authorized (0x87)`, with the broker's own words behind it when it gave some. */
export function reasonText(code: number, reasonString = ''): string {
  const name = names[code] ?? connackNames3[code] ?? 'Unknown reason';
  const text = `${name} (0x${code.toString(16).padStart(2, '0')})`;
  return reasonString === '' ? text : `${text}: ${reasonString}`;
}
