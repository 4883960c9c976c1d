/**
 * Topic names, topic filters and the `$share` syntax. Every thread, no state.
 *
 * A `TopicName` or `TopicFilter` was checked once by the function that made it and is trusted
 * afterwards. Topics are compared as they are: no case folding, no normalisation
 * [MQTT-4.7.3-4]. Filters may have at most `filterLevelsMax` levels, so that the depth of the
 * subscription tree has a bound. Source: MQTT 5.0 sections 4.7 and 4.8.2.
 */
import { ProtocolError } from '../base/error.js';
import { reasonCode, violation } from './reason-code.js';
import { hasControlCharacter, isMqttUtf8 } from './utf8.js';

declare const topicNameBrand: unique symbol;
declare const topicFilterBrand: unique symbol;

/** A checked topic name: not empty, no wildcard, no U+0000, well-formed, at most 65535 bytes. */
export type TopicName = string & { readonly [topicNameBrand]: true };
/** A checked topic filter: as a topic name, with wildcards in their places. */
export type TopicFilter = string & { readonly [topicFilterBrand]: true };

/** A broken topic rule: what to say and the clause it breaks. */
export interface TopicFault {
  readonly message: string;
  readonly clause: string;
}

/** A shared subscription taken apart: `$share/{shareName}/{topicFilter}`. */
export interface Share {
  readonly shareName: string;
  readonly topicFilter: TopicFilter;
}

/** The longest topic in UTF-8 bytes [MQTT-4.7.3-3]. */
export const topicBytesMax = 65_535;
/** The deepest filter that is accepted, whatever `SLUICE_TOPIC_LEVELS_MAX` says [broker]. */
export const filterLevelsMax = 1024;
/** What a shared subscription begins with. */
export const sharePrefix = '$share/';

/** Why `topicName` is not a topic name, or undefined when it is one. */
export function topicNameFault(topicName: string): TopicFault | undefined {
  const fault = textFault(topicName);
  if (fault !== undefined) return fault;
  if (topicName.includes('+') || topicName.includes('#')) {
    return { message: 'topic name has a wildcard', clause: 'MQTT-3.3.2-2' };
  }
  return undefined;
}

/** Why `topicFilter` is not a topic filter, or undefined when it is one. `$share` gets no special treatment here. */
export function topicFilterFault(topicFilter: string): TopicFault | undefined {
  const fault = textFault(topicFilter);
  if (fault !== undefined) return fault;
  let levels = 1;
  for (let i = 0; i < topicFilter.length; i++) {
    const char = topicFilter[i];
    if (char === '/') {
      levels++;
      continue;
    }
    if (char !== '+' && char !== '#') continue;
    if (i > 0 && topicFilter[i - 1] !== '/') {
      return {
        message: `"${char}" does not stand alone in its level`,
        clause: char === '+' ? 'MQTT-4.7.1-2' : 'MQTT-4.7.1-1',
      };
    }
    if (char === '#' && i !== topicFilter.length - 1) {
      return { message: '"#" is not the last character', clause: 'MQTT-4.7.1-1' };
    }
    if (char === '+' && i !== topicFilter.length - 1 && topicFilter[i + 1] !== '/') {
      return { message: '"+" does not stand alone in its level', clause: 'MQTT-4.7.1-2' };
    }
  }
  if (levels > filterLevelsMax) {
    return { message: `topic filter has more than ${filterLevelsMax} levels`, clause: '' };
  }
  return undefined;
}

/** `raw` as a topic name; throws `ProtocolError` 0x90 when it is not one. */
export function parseTopicName(raw: string): TopicName {
  const fault = topicNameFault(raw);
  if (fault !== undefined) {
    throw new ProtocolError(reasonCode.topicNameInvalid, fault.message, fault.clause);
  }
  return raw as TopicName;
}

/** `raw` as a topic filter; throws `ProtocolError` 0x8F when it is not one. */
export function parseTopicFilter(raw: string): TopicFilter {
  const fault = topicFilterFault(raw);
  if (fault !== undefined) {
    throw new ProtocolError(reasonCode.topicFilterInvalid, fault.message, fault.clause);
  }
  return raw as TopicFilter;
}

/** True when the filter has a wildcard; without one it matches exactly the topic of its own text. */
export function hasWildcard(topicFilter: string): boolean {
  return topicFilter.includes('+') || topicFilter.includes('#');
}

/** True when the filter asks for a shared subscription, well-formed or not. */
export function isShare(topicFilter: string): boolean {
  return topicFilter.startsWith(sharePrefix);
}

/**
 * Takes `$share/{shareName}/{filter}` apart; undefined when `raw` does not begin with `$share/`.
 * Throws `ProtocolError` 0x82 when the name is empty or has a wildcard or no filter follows it [MQTT-4.8.2-1]
 * [MQTT-4.8.2-2], 0x8F when what follows is no filter.
 */
export function parseShare(raw: string): Share | undefined {
  if (!isShare(raw)) return undefined;
  const slash = raw.indexOf('/', sharePrefix.length);
  const shareName = slash === -1 ? raw.slice(sharePrefix.length) : raw.slice(sharePrefix.length, slash);
  if (shareName === '') throw invalidShare('share name is empty', 'MQTT-4.8.2-1');
  if (hasWildcard(shareName)) throw invalidShare('share name has a wildcard', 'MQTT-4.8.2-2');
  if (slash === -1 || slash === raw.length - 1)
    throw invalidShare('no topic filter after the share name', 'MQTT-4.8.2-2');
  return { shareName, topicFilter: parseTopicFilter(raw.slice(slash + 1)) };
}

/**
 * True when `buffer[start, end)` holds a topic name without control characters. One pass for plain ASCII, which nearly all
 * topics are; a second one, over UTF-8, only when a byte above 0x7f was seen.
 */
export function isTopicNameBytes(buffer: Uint8Array, start: number, end: number): boolean {
  if (start === end) return false;
  let high = 0;
  for (let i = start; i < end; i++) {
    const byte = buffer[i] as number;
    if (byte < 0x24 ? byte < 0x20 || byte === 0x23 : byte === 0x2b || byte === 0x7f) return false;
    high |= byte;
  }
  return high < 0x80 || (isMqttUtf8(buffer, start, end) && !hasControlCharacter(buffer, start, end));
}

/** Why the bytes that `isTopicNameBytes` refused are no topic name. */
export function topicNameBytesFault(buffer: Uint8Array, start: number, end: number): TopicFault {
  if (start === end) return { message: 'topic name is empty', clause: 'MQTT-4.7.3-1' };
  for (let i = start; i < end; i++) {
    const byte = buffer[i] as number;
    if (byte === 0x2b || byte === 0x23) {
      return { message: 'topic name has a wildcard', clause: 'MQTT-3.3.2-2' };
    }
    if (byte === 0) return { message: 'topic name has U+0000', clause: 'MQTT-4.7.3-2' };
  }
  return isMqttUtf8(buffer, start, end)
    ? { message: 'topic name has a control character', clause: 'MQTT-4.13.1-1' }
    : { message: 'topic name is not well-formed UTF-8', clause: 'MQTT-1.5.4-1' };
}

// In Unicode mode a surrogate matches only where it has no partner.
const loneSurrogate = /\p{Surrogate}/u;

function textFault(text: string): TopicFault | undefined {
  if (text === '') return { message: 'topic is empty', clause: 'MQTT-4.7.3-1' };
  if (text.includes('\0')) return { message: 'topic has U+0000', clause: 'MQTT-4.7.3-2' };
  if (loneSurrogate.test(text)) {
    return { message: 'topic is not well-formed Unicode', clause: 'MQTT-1.5.4-1' };
  }
  // A UTF-16 unit takes at most three bytes, so most topics need no byte count.
  if (text.length * 3 > topicBytesMax && Buffer.byteLength(text) > topicBytesMax) {
    return { message: 'topic is longer than 65535 bytes', clause: 'MQTT-4.7.3-3' };
  }
  return undefined;
}

function invalidShare(message: string, clause: string): ProtocolError {
  return violation(message, clause);
}
