import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import {
  connect,
  connectPacket,
  expectNothing,
  open,
  publish,
  publishPacket,
  startGateway,
} from '../net/test-gateway.js';
import {
  connectAs,
  credentials,
  packet,
  passwords,
  properties,
  refusal,
  startGuarded,
  text,
} from './fixture.js';

const badUserNameOrPassword = 0x86;
const notAuthorized = 0x87;
const secret = '0123456789abcdef0123456789abcdef';

/** A token of `user`, good for a minute. */
function token(user: string, claims: Record<string, unknown> = {}, expiresInS = 60): Promise<string> {
  return new SignJWT({ sub: user, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInS)
    .sign(Buffer.from(secret));
}

describe('attacks on the door', () => {
  test.each([
    ['a wrong password', 'alice', 'alice-2'],
    ['the password of somebody else', 'alice', 'mallory-1'],
    ['an empty password', 'alice', ''],
    ['no password', 'alice', undefined],
    ['the right password and one byte more', 'alice', 'alice-1\u0001'],
    ['a user that does not exist', 'nobody', 'alice-1'],
    ['another case of the name', 'Alice', 'alice-1'],
    ['a name with a space behind it', 'alice ', 'alice-1'],
    ['an empty name', '', 'alice-1'],
    ['a line of the password file', 'alice:x', 'alice-1'],
    ['names of objects', '__proto__', 'constructor'],
  ])(
    '%s lets nobody in, and what follows CONNECT is not looked at [MQTT-3.1.4-2]',
    async (_, username, password) => {
      const target = await startGuarded();
      const witness = await connectAs(target, 'root');
      await witness.subscribe('#');
      for (const protocolVersion of [5, 4] as const) {
        const client = await open(target, protocolVersion);
        client.send(
          connectPacket({
            protocolVersion,
            clientId: 'attacker',
            username,
            ...(password === undefined ? {} : { password: Buffer.from(password) }),
          }),
        );
        client.send(publishPacket('public/a', 'from nobody'));
        const connack = await client.expect('connack');
        await client.expectClosed();
        if (protocolVersion === 5)
          expect([badUserNameOrPassword, notAuthorized]).toContain(connack.reasonCode);
        else expect([4, 5]).toContain(connack.returnCode);
        expect(client.inbox).toEqual([]);
      }
      await expectNothing(witness);
      expect([...target.gateway.sessions.all()].map(({ clientId }) => clientId)).toEqual(['root']);
    },
  );

  test('a password without a user name lets nobody in; MQTT 3.1.1 does not even know it [MQTT-3.1.1 3.1.2-22]', async () => {
    const target = await startGuarded();
    const id = text('attacker');
    const password = text('alice-1');
    const five = await open(target);
    const level5 = Buffer.from([5, 0x42, 0, 0]);
    five.send(packet(0x10, text('MQTT'), level5, properties(), id, password));
    expect((await five.expect('connack')).reasonCode).toBeGreaterThanOrEqual(0x80);
    await five.expectClosed();
    const four = await open(target, 4);
    four.send(packet(0x10, text('MQTT'), Buffer.from([4, 0x42, 0, 0]), id, password));
    await four.expectClosed();
    expect(four.inbox).toEqual([]);
  });

  test('nobody comes in without a name when there are passwords [MQTT-3.1.4-2]', async () => {
    const target = await startGuarded();
    expect(await refusal(target, {})).toBe(notAuthorized);
    expect(await refusal(target, { protocolVersion: 4 })).toBe(5);
  });

  test('a guesser is shut out after so many failures, even with the right password, and others of his address too [broker]', async () => {
    const target = await startGuarded({ auth: { authFailuresMax: 3 } });
    const inside = await connectAs(target, 'root');
    const guess = { username: 'alice', password: Buffer.from('guess') };
    for (let i = 0; i < 3; i++) expect(await refusal(target, guess)).toBe(badUserNameOrPassword);
    expect([0x8a, 0x97]).toContain(await refusal(target, credentials('alice')));
    await expectNothing(inside);
  });

  test('an unknown authentication method lets nobody in [MQTT-4.12.0-1]', async () => {
    const target = await startGuarded();
    const properties = { authenticationMethod: 'NONE', authenticationData: Buffer.from('alice') };
    expect(await refusal(target, { ...credentials('alice'), properties })).toBe(0x8c);
  });

  test('AUTH in place of CONNECT and SCRAM without its steps let nobody in [MQTT-3.1.0-1]', async () => {
    const target = await startGuarded();
    const early = await open(target);
    early.send('f0 00');
    await early.expectClosed();
    expect(early.inbox).toEqual([]);
    const properties = {
      authenticationMethod: 'SCRAM-SHA-256',
      authenticationData: Buffer.from('c=biws,r=x,p=AAAA'),
    };
    expect(await refusal(target, { properties })).toBeGreaterThanOrEqual(0x80);
  });
});

describe('attacks with tokens', () => {
  const jwt = { jwtSecret: secret, jwtClockToleranceS: 0, passwordFile: undefined } as const;
  const bearer = (user: string, password: string) => ({ username: user, password: Buffer.from(password) });

  test('a token that has expired is of no more use [broker]', async () => {
    const target = await startGuarded({ auth: jwt });
    expect(await refusal(target, bearer('alice', await token('alice', {}, -1)))).toBeGreaterThanOrEqual(0x80);
    expect(
      await refusal(target, { protocolVersion: 4, ...bearer('alice', await token('alice', {}, -1)) }),
    ).toBe(4);
  });

  test('a connection ends with what proved who it is [broker]', async () => {
    const target = await startGateway({
      hooks: {
        authenticator: {
          authenticate: () => ({
            kind: 'success',
            identity: { username: 'a', expiresAtMs: Date.now() + 100 },
          }),
          exchange: () => undefined,
          close: () => undefined,
        },
      },
    });
    const five = await connect(target, 'five');
    expect((await five.expect('disconnect')).reasonCode).toBe(notAuthorized);
    await five.expectClosed();
    const four = await connect(target, 'four', { protocolVersion: 4 });
    await four.expectClosed();
    expect(four.inbox).toEqual([]);
  });

  test('a token for one use is of no use twice [broker]', async () => {
    const target = await startGuarded({ auth: { ...jwt, jwtSingleUse: true } });
    const once = await token('alice', { jti: 'one' });
    const client = await connectAs(target, 'alice', bearer('alice', once));
    expect(await refusal(target, { clientId: 'thief', ...bearer('alice', once) })).toBeGreaterThanOrEqual(
      0x80,
    );
    await expectNothing(client);
  });

  test('a token for one client or user is of no use to another [broker]', async () => {
    const target = await startGuarded({ auth: { ...jwt, jwtClaims: { sub: '%u', client: '%c' } } });
    const stolen = await token('alice', { client: 'alice' });
    await connectAs(target, 'alice', bearer('alice', stolen));
    expect(await refusal(target, { clientId: 'thief', ...bearer('alice', stolen) })).toBeGreaterThanOrEqual(
      0x80,
    );
    expect(await refusal(target, { clientId: 'alice', ...bearer('root', stolen) })).toBeGreaterThanOrEqual(
      0x80,
    );
  });

  test('a token that is not signed, signed by another key, or changed lets nobody in [broker]', async () => {
    const target = await startGuarded({ auth: jwt });
    const good = await token('mallory');
    const [header = '', , signature = ''] = good.split('.');
    const body = Buffer.from(JSON.stringify({ sub: 'root', exp: 9_999_999_999 })).toString('base64url');
    const forged = [
      new UnsecuredJWT({ sub: 'root' }).setExpirationTime('1m').encode(),
      await new SignJWT({ sub: 'root' })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime('1m')
        .sign(Buffer.from(`${secret}!`)),
      `${header}.${body}.${signature}`,
      `${header}.${body}.`,
      good.slice(0, -2),
      '',
      'a.b.c',
    ];
    for (const password of forged) {
      expect(await refusal(target, bearer('root', password))).toBeGreaterThanOrEqual(0x80);
    }
    expect(await refusal(target, bearer('alice', passwords['alice'] ?? ''))).toBeGreaterThanOrEqual(0x80);
  });

  test('rules in a token limit its bearer, also where the file is generous [broker]', async () => {
    const target = await startGuarded({ auth: jwt });
    const rules = [{ permission: 'deny', action: 'all', topic: 'public/#' }];
    const bound = await connectAs(target, 'alice', bearer('alice', await token('alice', { acl: rules })));
    expect(await publish(bound, 'public/a', 'x')).toBe(notAuthorized);
    expect(await publish(bound, 'alice/a', 'x')).toBe(0x10);
    const free = await connectAs(target, 'mallory', bearer('mallory', await token('mallory')));
    expect(await publish(free, 'public/a', 'x')).toBe(0x10);
    expect(target.guardCounters.total(slotOf('authorizationDenied', 'publish'))).toBe(1);
  });
});
