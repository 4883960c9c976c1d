/**
 * One case over the HTTP API: request lines, headers, JSON bodies and framing, whole and broken. Pure.
 *
 * Always true: it is made of `random` alone. Names and filters come from small sets and queues have limits, so that
 * state stays bounded; no filter reaches the topic of the healthy clients.
 */
import { split } from './packet-case.mjs';

const methods = ['GET', 'GET', 'POST', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE', 'get'];
const base = '/api/v5/message_queues';
const paths = [
  `${base}/queues`,
  `${base}/queues`,
  `${base}/queues/work`,
  `${base}/queues/q1`,
  `${base}/queues/%2Ffuzz%2F%23`,
  `${base}/queues/q1/messages`,
  `${base}/queues/q1/consumers`,
  `${base}/queues/q1/stats`,
  `${base}/queues/q1/purge`,
  `${base}/queues/q1/pause`,
  `${base}/queues/q1/resume`,
  `${base}/config`,
  '/api/v5/prometheus/stats',
  '/api/v5/status',
  '/status',
  '/metrics',
  '/',
  '/api-docs/swagger.json',
];
const oddPaths = [
  '*',
  '//',
  '/..%2f..%2fetc/passwd',
  `${base}/queues/%`,
  `${base}/queues/%00`,
  `${base}/queues/%ff%fe`,
  `${base}/queues/${'x'.repeat(9000)}`,
  `${base}/queues/__proto__`,
  'http://example.com/api/v5/status',
  'nothing',
  '/ HTTP/1.1',
];
const queries = [
  '',
  '',
  '',
  '?limit=1',
  '?limit=-1',
  '?limit=1e9&cursor=x',
  '?cursor=%ff',
  '?a[b]=c&a[__proto__]=1',
  '?limit=1&limit=2',
];
const oddHeaders = [
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Expect: 100-continue',
  'Expect: x',
  'Host: evil.example',
  'Authorization: Basic AAAA',
  'Authorization: Basic \u00ff',
  'Authorization: Bearer x.y.z',
  'Content-Type: text/plain',
  'Content-Type: application/json; charset=utf-16',
  'Content-Type: ;;;',
  'Content-Encoding: gzip',
  'Accept: \u0001',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Range: bytes=0-',
  ' folded',
  'no colon',
  `X: ${'y'.repeat(20_000)}`,
];
const oddValues = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  '',
  'x',
  '\u0000',
  '\ud800',
  [],
  {},
  ['x'],
  { a: { b: {} } },
];
const brokenTexts = [
  '',
  '{',
  '{"name":',
  '[[[[[[',
  'null',
  '"x"',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '{"name":"q1","name":"q2"}',
  '\ufeff{}',
  '[',
];

/** The bytes of one connection as the pieces in which they are written. */
export function httpCase(random) {
  const count = 1 + random.below(4);
  const parts = Array.from({ length: count }, () => request(random));
  const broken = parts.map((part) => (random.chance(0.1) ? damage(part, random) : part));
  if (random.chance(0.05)) broken.push(random.bytes(1 + random.below(200)));
  return split(broken, random);
}

function request(random) {
  const method = random.pick(methods);
  const path = random.pick(random.chance(0.9) ? paths : oddPaths) + random.pick(queries);
  const lines = [`${method} ${path} HTTP/${random.pick(['1.1', '1.1', '1.1', '1.0', '2.0', '9'])}`];
  lines.push('Host: 127.0.0.1');
  const body = /POST|PUT|PATCH|DELETE/.test(method) ? bodyOf(random, path) : undefined;
  if (body !== undefined) lines.push('Content-Type: application/json');
  const isChunked = body !== undefined && random.chance(0.2);
  if (isChunked) lines.push('Transfer-Encoding: chunked');
  else if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  if (random.chance(0.2)) lines.splice(1 + random.below(lines.length), 0, random.pick(oddHeaders));
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (body === undefined) return head;
  return Buffer.concat([head, isChunked ? chunked(random, body) : body]);
}

function chunked(random, body) {
  const parts = [];
  for (let at = 0; at < body.length;) {
    const length = Math.min(body.length - at, 1 + random.below(60));
    const told = random.chance(0.95)
      ? length.toString(16)
      : random.pick(['0', 'ffffffffffffffff', '-1', 'z', '']);
    parts.push(Buffer.from(`${told}\r\n`), body.subarray(at, at + length), Buffer.from('\r\n'));
    at += length;
  }
  parts.push(Buffer.from(random.chance(0.9) ? '0\r\n\r\n' : random.pick(['0\r\nX: y\r\n\r\n', '0\r\n', ''])));
  return Buffer.concat(parts);
}

function bodyOf(random, path) {
  if (random.chance(0.1)) return Buffer.from(random.pick(brokenTexts));
  if (random.chance(0.02)) return Buffer.from('['.repeat(100_000));
  const body = path.includes('/config') ? configBody(random) : queueBody(random);
  if (random.chance(0.3)) {
    const keys = [...Object.keys(body), 'unknown', '__proto__'];
    Object.defineProperty(body, random.pick(keys), {
      value: random.pick(oddValues),
      enumerable: true,
      configurable: true,
    });
  }
  const bytes = Buffer.from(JSON.stringify(body));
  return random.chance(0.1) ? damage(bytes, random) : bytes;
}

function queueBody(random) {
  return {
    name: random.pick(['q1', 'q2', 'q3']),
    topic_filter: random.pick(['fuzz/1', 'a/b', 'a/b/+']),
    is_lastvalue: random.chance(0.2),
    dispatch_strategy: random.pick(['random', 'least_inflight', 'round_robin']),
    data_retention_period: random.pick(['1s', '10s', 1000]),
    limits: { max_shard_message_count: 100, max_shard_message_bytes: '100KB' },
  };
}

/** What may change without an end of the queues that the cases use. */
function configBody(random) {
  return {
    gc_interval: random.pick(['1s', '1h', 5000]),
    find_queue_retry_interval: random.pick(['1s', 10_000]),
    max_queue_count: 100,
  };
}

function damage(bytes, random) {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return copy;
  if (random.chance(0.3)) return copy.subarray(0, random.below(copy.length));
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) copy[random.below(copy.length)] = random.byte();
  return copy;
}
