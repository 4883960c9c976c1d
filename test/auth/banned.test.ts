import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { AuthRequest, AuthStep } from '../../src/auth/authenticator.js';
import { type Ban, BanIndex, type BanKind, parseNetwork } from '../../src/auth/banned.js';
import { createBannedAuthenticator } from '../../src/auth/banned-authenticator.js';
import { BannedList } from '../../src/auth/banned-list.js';
import { BannedAdmin } from '../../src/broker/banned-admin.js';
import { reasonCode } from '../../src/mqtt/reason-code.js';
import { Counters, createCounterMemory, CounterReader, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { refusal } from '../attack/fixture.js';
import { connect, startGateway } from '../net/test-gateway.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function ban(as: BanKind, who: string, untilMs: number | null = null): Ban {
  return { as, who, by: 'test', reason: '', atMs: 0, untilMs };
}

function subject(host: string, clientId = 'c', username?: string) {
  return { clientId, username, host };
}

describe('a ban', () => {
  it.each([
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'], ['11.0.0.0', '::1', '9.255.255.255']],
    ['192.0.2.7', ['192.0.2.7', '::ffff:192.0.2.7'], ['192.0.2.8', '192.0.2.70']],
    ['::ffff:192.0.2.7', ['192.0.2.7'], ['192.0.2.8']],
    ['192.0.2.7/32', ['192.0.2.7'], ['192.0.2.6']],
    ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255'], ['2001:db8::1']],
    ['2001:db8::/32', ['2001:db8::1', '2001:0DB8:ffff::'], ['2001:db9::', '10.0.0.1']],
    ['2001:db8:0::1', ['2001:db8::1', '2001:0db8:0000::0001'], ['2001:db8::2']],
    ['::ffff:10.0.0.0/104', ['10.0.0.0', '::ffff:a01:203'], ['11.0.0.0', '::a01:203', '2001:db8::1']],
    ['::FFFF:c000:207', ['192.0.2.7'], ['192.0.2.8', '::c000:207']],
    ['::/0', ['::', '2001:db8::1'], ['10.0.0.1', '::ffff:10.0.0.1']],
    ['10.255.3.4/8', ['10.0.0.0'], ['11.0.0.0']],
    ['2001:db8::1/127', ['2001:db8::', '2001:db8::1'], ['2001:db8::2']],
    ['fe80::1', ['fe80::1%eth0'], ['fe80::2']],
  ])('of %s means %j and not %j [broker]', (who, meant, others) => {
    const index = new BanIndex([ban('peerhost', who)]);
    expect(meant.filter((host) => index.find(subject(host), 0) === undefined)).toEqual([]);
    expect(others.filter((host) => index.find(subject(host), 0) !== undefined)).toEqual([]);
    expect(index.find(subject(''), 0)).toBeUndefined();
  });

  it('needs an address or a network where it is one of addresses [broker]', () => {
    const wrong = [
      '',
      'x',
      '10.0.0',
      '10.0.0.0/33',
      '::/129',
      '::ffff:10.0.0.0/95',
      '::ffff:10.0.0.0/129',
      '/8',
      '10.0.0.0/8/8',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10.0.0.1 ',
    ];
    expect(wrong.filter((text) => parseNetwork(text) !== undefined)).toEqual([]);
  });

  it('of a client id or a user name means exactly that one [broker]', () => {
    const index = new BanIndex([ban('clientid', 'c1'), ban('username', '__proto__')]);
    expect(index.find(subject('', 'c1'), 0)?.as).toBe('clientid');
    expect(index.find(subject('', 'C1'), 0)).toBeUndefined();
    expect(index.find(subject('', 'c2', '__proto__'), 0)?.as).toBe('username');
    expect(index.find(subject('', 'c2', 'constructor'), 0)).toBeUndefined();
  });

  it('is over when its time is, also where another one means the same client [broker]', () => {
    const index = new BanIndex([ban('clientid', 'c', 1000), ban('peerhost', '10.0.0.0/8', 2000)]);
    expect(index.find(subject('10.0.0.1'), 999)?.as).toBe('clientid');
    expect(index.find(subject('10.0.0.1'), 1000)?.as).toBe('peerhost');
    expect(index.find(subject('10.0.0.1'), 2000)).toBeUndefined();
  });
});

describe('bans of networks', () => {
  const bits = '0000101001101001110000111010010111001011000111100010110101101001'.repeat(2);
  const v4 = (text: string) => (text.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)).join('.');
  const v6 = (text: string) =>
    (text.match(/.{16}/g) ?? []).map((group) => parseInt(group, 2).toString(16)).join(':');
  it.each([
    ['4', 32, v4],
    ['6', 128, v6],
  ] as const)(
    'of IPv%s hold up to their last bit, whatever their length [broker]',
    (_family, size, write) => {
      const address = bits.slice(0, size);
      const all = Array.from({ length: size + 1 }, (_, length) =>
        ban('peerhost', `${write(address)}/${length}`),
      );
      const index = new BanIndex(all);
      for (let length: number = size; length >= 0; length -= 1) {
        index.become(all.slice(0, length + 1));
        expect(index.find(subject(write(address)), 0)).toBeDefined();
        // Differs in the last bit of the longest network, and so is meant by all but that one.
        if (length === 0) continue;
        const last = address[length - 1] === '0' ? '1' : '0';
        const other = write(address.slice(0, length - 1) + last + address.slice(length));
        index.become([all[length]!]);
        expect(index.find(subject(other), 0), other).toBeUndefined();
        expect(index.find(subject(write(address)), 0)).toBe(all[length]);
        index.become(all.slice(0, length));
        expect(index.find(subject(other), 0)).toBeDefined();
      }
      index.become([]);
      expect(index.find(subject(write(address)), 0)).toBeUndefined();
      expect(index.size).toBe(0);
    },
  );

  it('that mean the same hold until the last one ends, whichever came last or was lifted [broker]', () => {
    const [forever, brief, long] = [
      ban('peerhost', '10.0.0.5'),
      ban('peerhost_net', '10.0.0.5/32', 1000),
      ban('peerhost', '::ffff:10.0.0.5', 2000),
    ];
    for (const bans of [
      [forever, brief, long],
      [long, brief, forever],
      [brief, forever, long],
    ]) {
      const index = new BanIndex(bans);
      expect(index.find(subject('10.0.0.5'), 5000)).toBe(forever);
      index.become([brief, long]);
      expect(index.find(subject('10.0.0.5'), 1999)).toBe(long);
      expect(index.find(subject('10.0.0.5'), 2000)).toBeUndefined();
      index.become([brief]);
      expect(index.find(subject('10.0.0.5'), 999)).toBe(brief);
      expect(index.find(subject('10.0.0.5'), 1000)).toBeUndefined();
    }
  });
});

describe('the list of bans', () => {
  it('lets a brief ban neither end nor replace a longer one of the same address [broker]', async () => {
    const list = new BannedList(join(folder, 'banned.json'));
    await list.add(ban('peerhost', '10.0.0.5'), 0);
    await list.add(ban('peerhost_net', '10.0.0.5/32', 1000), 0);
    expect(list.find(subject('10.0.0.5'), 1000)).toBeDefined();
    expect(new BannedList(join(folder, 'banned.json')).find(subject('10.0.0.5'), 1000)).toBeDefined();
    await list.remove('peerhost', '10.0.0.5', 0);
    expect(list.find(subject('10.0.0.5'), 999)).toBeDefined();
    expect(list.find(subject('10.0.0.5'), 1000)).toBeUndefined();
  });

  it('is kept over a restart, shows the newest first, and drops what has run out [broker]', async () => {
    const file = join(folder, 'banned.json');
    const list = new BannedList(file);
    expect(await list.add(ban('clientid', 'a', 1000), 0)).toBe('done');
    expect(await list.add(ban('clientid', 'a'), 0)).toBe('exists');
    expect(await list.add(ban('username', 'a'), 0)).toBe('done');
    const again = new BannedList(file);
    expect(again.list(0).map(({ as }) => as)).toEqual(['username', 'clientid']);
    expect(again.list(1000).map(({ as }) => as)).toEqual(['username']);
    expect(await again.remove('clientid', 'a', 1000)).toBe('not-found');
    expect(await again.add(ban('clientid', 'a'), 1000)).toBe('done');
    expect(await again.remove('clientid', 'a', 1000)).toBe('done');
    await again.clear();
    expect(again.list(0)).toEqual([]);
    expect(again.find(subject('', 'a', 'a'), 0)).toBeUndefined();
  });
});

describe('a client that is banned', () => {
  async function start() {
    const list = new BannedList(join(folder, 'banned.json'));
    const memory = createCounterMemory(0);
    const asked: AuthRequest[] = [];
    const banMeanwhile = () => list.add(ban('username', 'slow'), 0);
    const inner = {
      authenticate: (request: AuthRequest): AuthStep | Promise<AuthStep> => {
        asked.push(request);
        if (request.username === 'slow') {
          return banMeanwhile().then(() => ({ kind: 'success', identity: { username: 'slow' } }));
        }
        // As a token or a certificate would, it may name another user.
        const username = request.username === 'token' ? 'mallory' : request.username;
        return { kind: 'success', identity: { username } };
      },
      exchange: () => undefined,
      reload: async () => {},
      close: () => {},
    };
    const counters = new Counters(memory, MAIN_BLOCK);
    const authenticator = createBannedAuthenticator({ inner, list, counters, now: () => 500 });
    const target = await startGateway({ hooks: { authenticator } });
    const admin = new BannedAdmin(list, () => target.gateway.sessions.all());
    return { list, target, admin, asked, reader: new CounterReader(memory) };
  }

  it.each([5, 4] as const)(
    'is refused by client id, user name or address, unheard, in version %i [MQTT-3.1.4-2]',
    async (protocolVersion) => {
      const { list, target, asked, reader } = await start();
      await list.add(ban('clientid', 'bad'), 0);
      await list.add(ban('username', 'mallory'), 0);
      const code = protocolVersion === 5 ? reasonCode.banned : 5;
      expect(await refusal(target, { protocolVersion, clientId: 'bad' })).toBe(code);
      expect(await refusal(target, { protocolVersion, clientId: 'a', username: 'mallory' })).toBe(code);
      expect(asked).toEqual([]);
      // The proof itself may name who is banned.
      expect(await refusal(target, { protocolVersion, clientId: 'a', username: 'token' })).toBe(code);
      await connect(target, 'good', { protocolVersion });
      await list.add(ban('peerhost', '127.0.0.0/8'), 0);
      expect(await refusal(target, { protocolVersion, clientId: 'other' })).toBe(code);
      expect(reader.total(slot.clientsBanned)).toBe(4);
      await list.add(ban('clientid', 'late', 501), 0);
      await list.remove('peerhost', '127.0.0.0/8', 500);
      expect(await refusal(target, { protocolVersion, clientId: 'late' })).toBe(code);
    },
  );

  it('while its proof is looked at is refused like one that was before [broker]', async () => {
    const { target, reader } = await start();
    expect(await refusal(target, { clientId: 'a', username: 'slow' })).toBe(reasonCode.banned);
    expect(reader.total(slot.clientsBanned)).toBe(1);
  });

  it('stays connected until somebody asks that it be ended, and then is told why [MQTT-3.14.4-1]', async () => {
    const { list, target, admin } = await start();
    const [bad, named, good] = [
      await connect(target, 'bad'),
      await connect(target, 'n', { username: 'mallory' }),
      await connect(target, 'good'),
    ];
    await list.add(ban('clientid', 'bad'), 0);
    expect(target.gateway.clientCount).toBe(3);
    expect(await admin.kick(ban('clientid', 'bad'))).toBe(1);
    expect((await bad.expect('disconnect')).reasonCode).toBe(reasonCode.administrativeAction);
    await bad.expectClosed();
    expect(await admin.kick(ban('username', 'mallory', 1000))).toBe(1);
    expect((await named.expect('disconnect')).reasonCode).toBe(reasonCode.administrativeAction);
    expect(await admin.kick(ban('peerhost', '10.0.0.0/8'))).toBe(0);
    expect(await admin.kick(ban('peerhost_net', '127.0.0.0/8'))).toBe(1);
    await good.expect('disconnect');
  });
});
