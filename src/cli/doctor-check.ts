/**
 * What `sluice doctor` thinks of what it has found: pure functions from facts to findings.
 *
 * Always true: `fail` is what keeps a broker from starting or loses data, `warn` what will hurt later, `ok` the rest; whatever
 * is not ok says what to do about it. Facts come in as arguments, so that each check is tested without the machine that has it.
 */
import type { Config } from '../config/config.js';
import { formatBytes } from '../config/unit.js';

/** One line of the report. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was looked at, in a word or two. */
  readonly subject: string;
  /** What was found. */
  readonly what: string;
  /** What to do; absent when all is well. */
  readonly next?: string;
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const DAY_MS = 86_400_000;

function ok(subject: string, what: string): Finding {
  return { level: 'ok', subject, what };
}

function warn(subject: string, what: string, next: string): Finding {
  return { level: 'warn', subject, what, next };
}

function fail(subject: string, what: string, next: string): Finding {
  return { level: 'fail', subject, what, next };
}

/** `version` as in `process.versions.node`. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 19)
    ? ok('Node.js', version)
    : fail('Node.js', version, 'install 20.19 or newer');
}

/** `fault` is why the native library does not load, undefined when it does or is not wanted. */
export function checkAddon(store: Config['store'], fault: string | undefined): Finding {
  if (store !== 'rocksdb') return ok('native add-on', `not needed by SLUICE_STORE=${store}`);
  if (fault === undefined) return ok('native add-on', 'rocksdb loads');
  return fail(
    'native add-on',
    `rocksdb does not load: ${fault}`,
    'set SLUICE_STORE=segment, which needs none',
  );
}

/** What is in a data directory, as far as it can be read. */
export interface DataFacts {
  readonly path: string;
  readonly state: 'missing' | 'no-directory' | 'unreadable' | 'read-only' | 'writable';
  /** For a missing one: whether it can be made. */
  readonly canBeMade: boolean;
  /** Owner of the directory and the user that asks; undefined where there are none. */
  readonly owner: number | undefined;
  readonly user: number | undefined;
  readonly freeBytes: number;
  readonly isRestoring: boolean;
  /** Of layout.json; a text is why it cannot be read. */
  readonly layout: number | string | undefined;
  readonly shards: readonly ShardFacts[];
}

/** One shard's directory. */
export interface ShardFacts {
  readonly id: number;
  /** Driver and format of FORMAT; undefined when it is missing or not readable. */
  readonly format: { readonly version: number; readonly driver: string } | undefined;
  readonly lock: 'free' | 'held' | 'unknown';
  /** Process that holds it, when that can be told. */
  readonly holder: number | undefined;
  /** What is wrong with its files. */
  readonly faults: readonly string[];
}

/** All about the data directory; `formatMax` is the newest format that this version reads. */
export function checkData(
  facts: DataFacts,
  config: Pick<Config, 'store' | 'shards'>,
  formatMax: number,
): Finding[] {
  const subject = 'data directory';
  const { path, state } = facts;
  if (state === 'missing') {
    return facts.canBeMade
      ? [ok(subject, `${path} will be made at the first start`)]
      : [
          fail(
            subject,
            `${path} is missing and cannot be made`,
            'make it, and give it to the user of the broker',
          ),
        ];
  }
  if (state === 'no-directory')
    return [fail(subject, `${path} is no directory`, 'set SLUICE_DATA_DIR to one')];
  if (state !== 'writable') {
    const next = `give it to the user of the broker: chown -R <user> ${path}`;
    return [fail(subject, `${path} is not ${state === 'unreadable' ? 'readable' : 'writable'}`, next)];
  }
  const findings = [ok(subject, path), freeSpace(facts.freeBytes)];
  if (facts.owner !== undefined && facts.user !== 0 && facts.owner !== facts.user) {
    findings.push(
      warn(
        subject,
        `belongs to user ${facts.owner}, not to ${String(facts.user)}`,
        'run the broker as its owner',
      ),
    );
  }
  if (facts.isRestoring) {
    findings.push(fail(subject, 'a restore into it was cut off', 'run "sluice restore" again'));
  }
  if (typeof facts.layout === 'string') {
    findings.push(
      fail(
        subject,
        `layout.json: ${facts.layout}`,
        'restore a backup; the shards themselves were not touched',
      ),
    );
  } else if (facts.layout !== undefined && facts.layout !== config.shards) {
    findings.push(
      ok(subject, `${facts.layout} shards become ${config.shards} at the next start; that copies messages`),
    );
  }
  return [...findings, ...facts.shards.flatMap((shard) => checkShard(shard, config.store, formatMax))];
}

function freeSpace(bytes: number): Finding {
  const what = `${formatBytes(Math.floor(bytes / MIB) * MIB)} free`;
  if (bytes < 200 * MIB) return fail('disk', what, 'make room; what cannot be stored is not acknowledged');
  if (bytes < GIB)
    return warn('disk', what, 'make room soon; write-ahead logs alone may take some hundred MB');
  return ok('disk', what);
}

function checkShard(shard: ShardFacts, store: string, formatMax: number): Finding[] {
  const subject = `shard ${shard.id}`;
  const faults = shard.faults.map((fault) =>
    fail(subject, fault, 'restore a backup, or set the folder of the shard aside'),
  );
  const { format, lock, holder } = shard;
  if (format === undefined) {
    faults.push(fail(subject, 'has no readable FORMAT file', 'restore a backup, or set the folder aside'));
  } else if (format.version > formatMax) {
    const what = `was written in format ${format.version}, this version reads ${formatMax}`;
    faults.push(fail(subject, what, 'start the newer version again'));
  } else if (format.driver !== store) {
    const next = `set SLUICE_STORE=${format.driver}, or move by "sluice backup" and "sluice restore"`;
    faults.push(fail(subject, `holds a ${format.driver} store, SLUICE_STORE is ${store}`, next));
  }
  if (faults.length > 0) return faults;
  if (lock !== 'held') return [ok(subject, lock === 'free' ? 'sound and free' : 'sound')];
  const who = holder === undefined ? 'another process' : `process ${holder}`;
  return [
    warn(
      subject,
      `in use by ${who}`,
      'nothing, if that is the broker you mean; a second one would not start',
    ),
  ];
}

/** `limit` of open files of this process; undefined where it cannot be read. */
export function checkFiles(
  limit: number | undefined,
  config: Pick<Config, 'connectionsMax' | 'shards'>,
): Finding {
  const subject = 'open files';
  if (limit === undefined) return ok(subject, 'the limit cannot be read on this system');
  const others = 1000 + 64 * config.shards;
  if (limit >= config.connectionsMax + others) return ok(subject, `limit ${limit}`);
  const room = Math.max(0, limit - others);
  return warn(
    subject,
    `limit ${limit}: room for about ${room} of ${config.connectionsMax} connections`,
    `raise it above ${config.connectionsMax + others} (ulimit -n, LimitNOFILE), or lower SLUICE_MAX_CONNECTIONS`,
  );
}

/** One port that the broker would listen on. */
export interface PortFacts {
  readonly name: string;
  readonly address: string;
  readonly state: 'free' | 'taken' | 'forbidden' | 'no-address';
  /** `name (pid)` of who has it, when that can be told. */
  readonly holder: string | undefined;
  /** It gives way when somebody else has the port. */
  readonly givesWay: boolean;
}

/** `isRunning`: a broker answers at the address of the REST API. */
export function checkPort(port: PortFacts, isRunning: boolean): Finding {
  const subject = `port ${port.name}`;
  const { address, state } = port;
  if (state === 'free') return ok(subject, `${address} is free`);
  if (state === 'forbidden') {
    return fail(
      subject,
      `${address} may not be used by this user`,
      'choose a port above 1023, or grant CAP_NET_BIND_SERVICE',
    );
  }
  if (state === 'no-address')
    return fail(subject, `${address} is no address of this machine`, 'see SLUICE_HOST');
  const holder = port.holder === undefined ? '' : ` by ${port.holder}`;
  if (isRunning) return ok(subject, `${address} is in use${holder}; a broker runs`);
  if (port.givesWay)
    return warn(subject, `${address} is in use${holder}`, 'nothing: this listener gives way');
  return fail(subject, `${address} is in use${holder}`, 'stop that program, or choose another port');
}

/** `drift`: how far the wall clock went ahead of the monotone one while both were watched, ms. */
export function checkClock(nowMs: number, driftMs: number): Finding {
  const date = new Date(nowMs);
  const year = date.getUTCFullYear();
  const subject = 'clock';
  if (year < 2024 || year > 2100) {
    return fail(
      subject,
      `the year is ${year}`,
      'set the clock; expiry of messages and certificates goes by it',
    );
  }
  if (Math.abs(driftMs) > 100) {
    return warn(
      subject,
      `was moved by ${Math.round(driftMs)} ms while it was watched`,
      'let it be slewed (chrony, ntpd), not set',
    );
  }
  return ok(subject, date.toISOString());
}

/** `limitBytes`: memory of the machine, or of the control group when that is less. */
export function checkMemory(limitBytes: number, config: Config): Finding {
  const perShard = config.storeMemoryBytes + config.queuesCacheBytes + 2 * config.ringBytes + 40 * MIB;
  const wanted = 100 * MIB + config.shards * perShard + config.outboxesBytesMax;
  const what = `${sizeText(limitBytes)}; at their bounds ${config.shards} shards and slow readers take ${sizeText(wanted)}`;
  return wanted <= limitBytes * 0.9
    ? ok('memory', what)
    : warn(
        'memory',
        what,
        'lower SLUICE_STORE_MEMORY, SLUICE_QUEUES_CACHE_BYTES, SLUICE_OUTBOXES_BYTES or SLUICE_SHARDS',
      );
}

function sizeText(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GB`;
}

/** `cores`: of the machine, or what the control group grants of them. */
export function checkCores(cores: number, shards: number): Finding {
  const what = `${cores.toFixed(cores % 1 === 0 ? 0 : 1)} for ${shards} shards and the main thread`;
  return shards + 1 <= Math.max(2, Math.ceil(cores))
    ? ok('cores', what)
    : warn('cores', what, 'lower SLUICE_SHARDS; threads that wait for each other cost more than they bring');
}

/** Kernel settings; undefined where they cannot be read. */
export interface KernelFacts {
  readonly somaxconn: number | undefined;
  /** Third number of tcp_mem, bytes. */
  readonly tcpMemoryBytes: number | undefined;
  readonly memoryBytes: number;
}

/** Those that a broker with many clients notices. */
export function checkKernel({ somaxconn, tcpMemoryBytes, memoryBytes }: KernelFacts): Finding[] {
  const findings: Finding[] = [];
  if (somaxconn !== undefined) {
    const what = `net.core.somaxconn is ${somaxconn}`;
    const next = 'sysctl -w net.core.somaxconn=4096: many clients that come at once are refused otherwise';
    findings.push(somaxconn < 1024 ? warn('kernel', what, next) : ok('kernel', what));
  }
  if (tcpMemoryBytes !== undefined && tcpMemoryBytes < Math.min(256 * MIB, memoryBytes / 32)) {
    const what = `net.ipv4.tcp_mem allows ${Math.round(tcpMemoryBytes / MIB)} MB for all connections`;
    findings.push(warn('kernel', what, 'raise the third number of net.ipv4.tcp_mem'));
  }
  return findings;
}

/** A file that a setting names. */
export interface FileFacts {
  readonly variable: string;
  readonly path: string;
  readonly holdsSecrets: boolean;
  /** Rights, undefined when the file cannot be read; `fault` says why, or what is wrong inside. */
  readonly mode: number | undefined;
  readonly fault: string | undefined;
}

/** Is it there, readable, sound, and readable by nobody else? */
export function checkFile({ variable, path, holdsSecrets, mode, fault }: FileFacts): Finding {
  if (fault !== undefined)
    return fail(
      variable,
      `${path}: ${fault}`,
      'mend the file; a broker does not start with it, or not with all of it',
    );
  if (holdsSecrets && mode !== undefined && (mode & 0o007) !== 0) {
    const rights = (mode & 0o777).toString(8);
    return warn(variable, `${path} may be read by everybody (${rights})`, `chmod 600 ${path}`);
  }
  return ok(variable, path);
}

/** A certificate of a listener. */
export interface CertificateFacts {
  readonly listener: string;
  readonly path: string;
  readonly fault: string | undefined;
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** Does it fit its key, and for how long? */
export function checkCertificate(facts: CertificateFacts, nowMs: number): Finding {
  const subject = `certificate ${facts.listener}`;
  const { path, fault, validFromMs, validToMs } = facts;
  if (fault !== undefined)
    return fail(subject, `${path}: ${fault}`, 'see SLUICE_TLS_CERT and SLUICE_TLS_KEY');
  const until = new Date(validToMs).toISOString().slice(0, 10);
  if (validToMs < nowMs)
    return fail(subject, `expired on ${until}`, 'renew it; SIGHUP or a changed file is enough');
  if (validFromMs > nowMs) return fail(subject, 'is not valid yet', 'check the clock, or wait');
  const days = Math.floor((validToMs - nowMs) / DAY_MS);
  return days < 14
    ? warn(subject, `expires in ${days} days, on ${until}`, 'renew it; SIGHUP or a changed file is enough')
    : ok(subject, `valid until ${until}`);
}
