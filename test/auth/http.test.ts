import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

import { describe, expect, test } from 'vitest';

import { authenticator, brief, file, request, serve } from './fixture.js';

interface Call {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A service that notes what it is asked. */
async function service(answer: (response: ServerResponse, call: Call) => void) {
  const calls: Call[] = [];
  const listener: RequestListener = (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const call = { method, url, headers, body: Buffer.concat(chunks).toString() };
      calls.push(call);
      answer(response, call);
    });
  };
  return { calls, authHttpUrl: `${await serve(listener)}auth?realm=1` };
}

function sends(body: string, status = 200): (response: ServerResponse) => void {
  return (response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

const bob = request({ clientId: 'c1', username: 'bob', password: 'pa"ss', from: '[2001:db8::1]:77' });

describe('the call', () => {
  test('it carries client id, user name, password and address as JSON [broker]', async () => {
    const { calls, authHttpUrl } = await service(sends('{"result":"allow"}'));
    const { auth, succeeded } = await authenticator({ authHttpUrl, authHttpHeaders: { 'x-key': 'k' } });
    expect(brief(await auth.authenticate(bob))).toBe('yes bob');
    expect(calls).toMatchObject([
      { method: 'POST', url: '/auth?realm=1', headers: { 'content-type': 'application/json', 'x-key': 'k' } },
    ]);
    expect(JSON.parse(calls[0]?.body ?? '')).toEqual({
      clientid: 'c1',
      username: 'bob',
      password: 'pa"ss',
      peerhost: '2001:db8::1',
    });
    expect(succeeded('http')).toBe(1);
  });

  test('what a client has not is null, and an anonymous client is asked about as well [broker]', async () => {
    const { calls, authHttpUrl } = await service(sends('{"result":"allow"}'));
    const { auth } = await authenticator({ authHttpUrl });
    expect(brief(await auth.authenticate(request()))).toBe('yes anonymous');
    expect(JSON.parse(calls[0]?.body ?? '')).toMatchObject({ username: null, password: null });
  });

  test('its fields can be chosen, and as GET they are a query [broker]', async () => {
    const { calls, authHttpUrl } = await service(sends('{"result":"allow"}'));
    const { auth } = await authenticator({
      authHttpUrl,
      authHttpMethod: 'get',
      authHttpBody: { who: '${username}@${listener}', n: 1, cn: '${cert_common_name}' },
    });
    expect(brief(await auth.authenticate(bob))).toBe('yes bob');
    expect(calls).toMatchObject([{ method: 'GET', url: '/auth?realm=1&who=bob%40tcp&n=1', body: '' }]);
  });

  test('a user name that looks like a placeholder is sent as it is [broker]', async () => {
    const { calls, authHttpUrl } = await service(sends('{"result":"deny"}'));
    const { auth } = await authenticator({ authHttpUrl });
    await auth.authenticate(request({ username: '${password}', password: 'x' }));
    expect(JSON.parse(calls[0]?.body ?? '')).toMatchObject({ username: '${password}' });
  });
});

describe('the answer', () => {
  test.each([
    [200, '{"result":"allow"}', 'yes bob'],
    [200, '{"result":"deny"}', '0x87'],
    [200, '{"result":"ignore"}', '0x86'],
    [204, '', 'yes bob'],
    [200, '', 'yes bob'],
    [200, 'allow', 'yes bob'],
    [200, 'ignore', '0x86'],
    [200, 'deny', '0x87'],
    [401, '', '0x87'],
    [403, '{"result":"allow"}', '0x87'],
    [404, '', '0x87'],
    [500, '{"result":"allow"}', '0x88'],
    [302, '{"result":"allow"}', '0x88'],
    [200, '{"result":"Allow"}', '0x88'],
    [200, '{"allow":true}', '0x88'],
    [200, '"allow"', '0x88'],
    [200, 'null', '0x88'],
    [200, '{"result":"allow"', '0x88'],
    [200, '<html>', '0x88'],
    [200, '{"result":"allow","acl":"all"}', '0x88'],
    [200, '{"result":"allow","expire_at":"tomorrow"}', '0x88'],
    [200, `{"result":"allow","x":"${'x'.repeat(70_000)}"}`, '0x88'],
  ])('status %i with %s: %s [broker]', async (status, body, expected) => {
    const { authHttpUrl } = await service(sends(body, status));
    const { auth } = await authenticator({ authHttpUrl, allowAnonymous: 'true' });
    expect(brief(await auth.authenticate(bob))).toBe(expected);
  });

  test('rules, the rank of a superuser and an end come along [broker]', async () => {
    const acl = [{ permission: 'allow', action: 'all', topic: 't/#' }];
    const { authHttpUrl } = await service(
      sends(JSON.stringify({ result: 'allow', is_superuser: true, acl, expire_at: 1_000_000_060 })),
    );
    const { auth } = await authenticator({ authHttpUrl });
    expect(await auth.authenticate(bob)).toEqual({
      kind: 'success',
      identity: { username: 'bob', isSuperuser: true, rules: acl, expiresAtMs: 1_000_000_060_000 },
    });
  });

  test('an answer that does not come in time refuses the client and is not held against it [broker]', async () => {
    const { authHttpUrl } = await service(() => {});
    const { auth, failed, log } = await authenticator({
      authHttpUrl,
      authHttpTimeoutMs: 100,
      authFailuresMax: 1,
    });
    expect(brief(await auth.authenticate(bob))).toBe('0x88');
    expect(brief(await auth.authenticate(bob))).toBe('0x88');
    expect(failed('unavailable')).toBe(2);
    expect(log.lines.join()).toContain('timeout');
    expect(log.lines.join()).not.toContain('pa"ss');
  });

  test('nobody listens: refused [broker]', async () => {
    const { auth } = await authenticator({ authHttpUrl: 'http://127.0.0.1:1/' });
    expect(brief(await auth.authenticate(bob))).toBe('0x88');
  });

  test('the service is asked about users that the password file does not know, and only those [broker]', async () => {
    const passwordFile = file(
      'p',
      'carol:$6$JDTxZpqzY5CwuSxl$zSeOo97m5PaSTVfn2dbnQ991S81Ph7ObebPgjjdzA1j1uBxnPDENeNA2P9W6L+TsnSnH5E1PCD+TdsWk7YORsw==\n',
    );
    const { calls, authHttpUrl } = await service(sends('{"result":"allow"}'));
    const { auth } = await authenticator({ authHttpUrl, passwordFile });
    expect(brief(await auth.authenticate(request({ username: 'carol', password: 'old' })))).toBe('yes carol');
    expect(brief(await auth.authenticate(request({ username: 'carol', password: 'new' })))).toBe('0x86');
    expect(brief(await auth.authenticate(request({ username: 'carol' })))).toBe('0x86');
    expect(calls).toHaveLength(0);
    expect(brief(await auth.authenticate(bob))).toBe('yes bob');
    expect(calls).toHaveLength(1);
  });
});

describe('bounds', () => {
  test('a yes and a no are remembered for their times, for exactly these credentials [broker]', async () => {
    const { calls, authHttpUrl } = await service((response, { body }) =>
      sends(body.includes('"good"') ? '{"result":"allow"}' : '{"result":"deny"}')(response),
    );
    const { auth, clock, cacheHits } = await authenticator({
      authHttpUrl,
      authHttpCacheMs: 1000,
      authHttpDenyCacheMs: 100,
    });
    const good = request({ username: 'a', password: 'good' });
    const bad = request({ username: 'a', password: 'bad' });
    expect(brief(await auth.authenticate(good))).toBe('yes a');
    expect(brief(await auth.authenticate(bad))).toBe('0x87');
    expect(brief(await auth.authenticate(good))).toBe('yes a');
    expect(brief(await auth.authenticate(bad))).toBe('0x87');
    expect(calls).toHaveLength(2);
    expect(cacheHits('http')).toBe(2);
    await auth.authenticate(request({ clientId: 'other', username: 'a', password: 'good' }));
    expect(calls).toHaveLength(3);
    clock.nowMs += 100;
    await auth.authenticate(good);
    expect(calls).toHaveLength(3);
    await auth.authenticate(bad);
    expect(calls).toHaveLength(4);
    clock.nowMs += 1000;
    await auth.authenticate(good);
    expect(calls).toHaveLength(5);
    await auth.reload();
    await auth.authenticate(good);
    expect(calls).toHaveLength(6);
  });

  test('what is remembered for one user is not another one, also when the service is not told the name [broker]', async () => {
    const { calls, authHttpUrl } = await service(sends('{"result":"allow"}'));
    const { auth } = await authenticator({ authHttpUrl, authHttpBody: { clientid: '%c' } });
    expect(brief(await auth.authenticate(request({ username: 'a' })))).toBe('yes a');
    expect(brief(await auth.authenticate(request({ username: 'b' })))).toBe('yes b');
    expect(calls).toHaveLength(2);
  });

  test('a yes is not remembered beyond its own end, and a failure not at all [broker]', async () => {
    const answers = ['{"result":"allow","expire_at":1000000001}', '', '{"result":"allow"}'];
    const { calls, authHttpUrl } = await service((response) => {
      const body = answers.shift() ?? '';
      sends(body, body === '' ? 500 : 200)(response);
    });
    const { auth, clock } = await authenticator({ authHttpUrl });
    expect(brief(await auth.authenticate(bob))).toBe('yes bob');
    clock.nowMs += 1000;
    expect(brief(await auth.authenticate(bob))).toBe('0x88');
    expect(brief(await auth.authenticate(bob))).toBe('yes bob');
    expect(calls).toHaveLength(3);
  });

  test('no more calls than allowed run at a time, and the others wait [broker]', async () => {
    const waiting: ServerResponse[] = [];
    const { calls, authHttpUrl } = await service((response) => void waiting.push(response));
    const { auth } = await authenticator({ authHttpUrl, authHttpCallsMax: 2 });
    const answers = Array.from({ length: 5 }, async (_, index) =>
      auth.authenticate(request({ username: `u${index}`, password: 'x' })),
    );
    for (let done = 0; done < 5; done++) {
      await expect.poll(() => waiting.length, { timeout: 10_000 }).toBe(Math.min(2, 5 - done));
      expect(calls.length).toBeLessThanOrEqual(done + 2);
      sends('{"result":"allow"}')(waiting.shift() as ServerResponse);
    }
    expect((await Promise.all(answers)).map(brief)).toEqual([
      'yes u0',
      'yes u1',
      'yes u2',
      'yes u3',
      'yes u4',
    ]);
  });

  test('closing ends the calls under way [broker]', async () => {
    const { calls, authHttpUrl } = await service(() => {});
    const { auth } = await authenticator({ authHttpUrl, authHttpTimeoutMs: 60_000 });
    const answer = auth.authenticate(bob);
    await expect.poll(() => calls.length).toBe(1);
    auth.close();
    expect(brief(await answer)).toBe('0x88');
  });
});
