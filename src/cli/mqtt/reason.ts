/**
 * Why the broker refused or ended something, in words and with what to do next. Pure.
 *
 * Always true: a refusal has exit code 4, and names the reason code of MQTT 5 or the return code of MQTT 3.1.1; a reason
 * string of the broker is shown when it sent one.
 */
import type { IConnackPacket, IDisconnectPacket } from 'mqtt-packet';

import { reasonName } from '../../mqtt/reason-code.js';
import { CommandError, exitCode } from '../io.js';
import { harmless } from '../text.js';

const returnCodes = [
  'accepted',
  'unacceptable protocol version',
  'identifier rejected',
  'server unavailable',
  'bad user name or password',
  'not authorized',
];

const hints: Readonly<Record<number, string>> = {
  0x85: 'choose another client id by --id',
  0x86: 'check --username and --password, or SLUICE_MQTT_USERNAME and SLUICE_MQTT_PASSWORD',
  0x87: 'the user may not do that; see the rules of the broker (docs/authorization.md)',
  0x88: 'the broker starts or stops; try again',
  0x97: 'a limit of the broker is reached; see docs/limits.md',
  0x90: 'check the name of the topic: no wildcards, and nothing below $SYS/',
  0x8f: 'check the topic filter',
};

/** The refusal that a CONNACK holds, or undefined. */
export function connackRefusal({
  reasonCode,
  returnCode,
  properties,
}: IConnackPacket): CommandError | undefined {
  const code = reasonCode ?? returnCode ?? 0;
  if (code === 0) return undefined;
  const name = code < 0x80 ? (returnCodes[code] ?? `return code ${code}`) : nameOf(code);
  const hint = hints[code === 4 ? 0x86 : code === 5 ? 0x87 : code];
  return refusal(`the broker refused the connection: ${name}${said(properties?.reasonString)}`, code, hint);
}

/** The refusal of a publish or a subscription. */
export function operationRefusal(what: string, code: number): CommandError {
  return refusal(`the broker refused ${what}: ${nameOf(code)}`, code, hints[code]);
}

/** What a DISCONNECT says. */
export function closedReason({ reasonCode = 0, properties }: IDisconnectPacket): string {
  return `${nameOf(reasonCode)}${said(properties?.reasonString)}`;
}

function nameOf(code: number): string {
  return `${reasonName(code)} (0x${code.toString(16).padStart(2, '0')})`;
}

function said(reasonString: string | undefined): string {
  return reasonString === undefined ? '' : `: ${harmless(reasonString)}`;
}

function refusal(message: string, code: number, hint: string | undefined): CommandError {
  return new CommandError(exitCode.refused, message, {
    code: `MQTT_0x${code.toString(16).padStart(2, '0')}`,
    ...(hint !== undefined && { hint }),
  });
}
