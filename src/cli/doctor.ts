/**
 * `sluice doctor`: would a broker start here, and would it do well? Runs in the process of the command.
 *
 * Always true: it looks at this machine with the settings that a broker started in the same environment would have; it starts
 * nothing, and changes nothing. Exit code 1 when anything is a `fail`. What is thought of the facts stands in doctor-check.ts.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

import { parseAclFile } from '../auth/acl-file.js';
import { ApiKeys } from '../auth/api-key.js';
import { parsePasswordFile } from '../auth/password-file.js';
import { type Config, ConfigError, ignoredVariables, loadConfig } from '../config/config.js';
import { listenerSettings, type TlsSetting } from '../config/listener.js';
import { LOG_FORMAT } from '../log/log-format.js';
import { loadRocksdb } from '../log/rocksdb-binding.js';
import {
  type CertificateFacts,
  checkAddon,
  checkCertificate,
  checkClock,
  checkCores,
  checkData,
  checkFile,
  checkFiles,
  checkKernel,
  checkMemory,
  checkNode,
  checkPort,
  type Finding,
  type PortFacts,
} from './doctor-check.js';
import { readDataFacts } from './doctor-data.js';
import { coreLimit, kernelFacts, listenerOf, memoryLimit, openFilesLimit } from './doctor-process.js';
import { type CliIo, exitCode, type ExitCode } from './io.js';
import { Output } from './output.js';
import { askStatus, statusUrl } from './status.js';

/** Options of `sluice doctor`. */
export interface DoctorOptions {
  /** Instead of SLUICE_DATA_DIR. */
  readonly dataDir?: string;
  readonly json?: boolean;
}

const STATUS_TIMEOUT_MS = 2000;
const CLOCK_WATCH_MS = 200;

/** Prints what it finds; resolves to the exit code. */
export async function runDoctor(io: CliIo, options: DoctorOptions): Promise<ExitCode> {
  const findings: Finding[] = [checkNode(process.versions.node), await clock()];
  const config = configuration(io, findings);
  if (config !== undefined) {
    findings.push(...(await machine(config)), ...files(config));
    findings.push(...checkData(await readDataFacts(options.dataDir ?? config.dataDir), config, LOG_FORMAT));
    findings.push(...(await ports(config)));
  }
  const isWell = findings.every(({ level }) => level !== 'fail');
  if (options.json === true) new Output(io, true).json({ ok: isWell, checks: findings });
  else io.out(report(findings));
  return isWell ? exitCode.done : exitCode.failed;
}

function report(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  const lines = findings.flatMap(({ level, subject, what, next }) => [
    `${level.padEnd(4)}  ${subject.padEnd(width)}  ${what}`,
    ...(next === undefined ? [] : [`${' '.repeat(6 + width)}  → ${next}`]),
  ]);
  const count = (level: Finding['level']): number => findings.filter((each) => each.level === level).length;
  return `${lines.join('\n')}\n\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} to mend\n`;
}

/** Undefined when the settings are faulty; the other checks would not know what to check then. */
function configuration(io: CliIo, findings: Finding[]): Config | undefined {
  for (const variable of ignoredVariables(io.env)) {
    findings.push({ level: 'warn', subject: variable, what: 'has no meaning here', next: 'leave it out' });
  }
  try {
    const config = loadConfig(io.env);
    findings.push({ level: 'ok', subject: 'settings', what: 'without a fault' });
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { variable, message } of error.faults) {
      findings.push({ level: 'fail', subject: variable, what: message, next: 'see docs/configuration.md' });
    }
    return undefined;
  }
}

async function clock(): Promise<Finding> {
  const wallMs = Date.now();
  const monotoneMs = performance.now();
  await pause(CLOCK_WATCH_MS);
  const nowMs = Date.now();
  return checkClock(nowMs, nowMs - wallMs - (performance.now() - monotoneMs));
}

async function machine(config: Config): Promise<Finding[]> {
  let fault: string | undefined;
  try {
    if (config.store === 'rocksdb') loadRocksdb();
  } catch (error) {
    fault = (error as Error).message.split('\n')[0];
  }
  return [
    checkAddon(config.store, fault),
    checkMemory(memoryLimit(), config),
    checkCores(coreLimit(), config.shards),
    checkFiles(openFilesLimit(), config),
    ...checkKernel(kernelFacts()),
  ];
}

function files(config: Config): Finding[] {
  const readKeys = (text: string): void => {
    const { fault } = ApiKeys.parse(text, { warn: () => undefined, error: () => undefined });
    if (fault !== undefined) throw new Error(fault);
  };
  const named: readonly [
    variable: string,
    path: string | undefined,
    holdsSecrets: boolean,
    read: (text: string) => void,
  ][] = [
    ['SLUICE_API_KEYS_FILE', config.apiKeysFile, true, readKeys],
    ['SLUICE_PASSWORD_FILE', config.passwordFile, true, (text) => void parsePasswordFile(text)],
    ['SLUICE_JWT_SECRET_FILE', config.jwtSecretFile, true, () => undefined],
    ['SLUICE_ACL_FILE', config.aclFile, false, (text) => void parseAclFile(text)],
    ['SLUICE_ENV_FILE', config.envFile, true, () => undefined],
  ];
  const findings = named.flatMap(([variable, path, holdsSecrets, read]) => {
    if (path === undefined) return [];
    const [mode, fault] = look(path, read);
    return [checkFile({ variable, path, holdsSecrets, mode, fault })];
  });
  for (const { name, tls } of listenerSettings(config)) {
    if (tls === undefined) continue;
    findings.push(checkCertificate(certificate(name, tls), Date.now()));
    const [mode, fault] = look(tls.keyFile, () => undefined);
    findings.push(checkFile({ variable: `key ${name}`, path: tls.keyFile, holdsSecrets: true, mode, fault }));
  }
  return findings;
}

function look(
  path: string,
  read: (text: string) => void,
): [mode: number | undefined, fault: string | undefined] {
  try {
    const { mode } = statSync(path);
    read(readFileSync(path, 'utf8'));
    return [mode, undefined];
  } catch (error) {
    return [undefined, (error as Error).message];
  }
}

function certificate(listener: string, { certFile: path, keyFile }: TlsSetting): CertificateFacts {
  try {
    const found = new X509Certificate(readFileSync(path));
    const fits = found.checkPrivateKey(createPrivateKey(readFileSync(keyFile)));
    const validFromMs = Date.parse(found.validFrom);
    const validToMs = Date.parse(found.validTo);
    return { listener, path, fault: fits ? undefined : 'the key does not fit it', validFromMs, validToMs };
  } catch (error) {
    return { listener, path, fault: (error as Error).message, validFromMs: 0, validToMs: 0 };
  }
}

async function ports(config: Config): Promise<Finding[]> {
  const { running } =
    config.httpPort === 0
      ? { running: false }
      : await askStatus(statusUrl(config.httpHost, config.httpPort), STATUS_TIMEOUT_MS);
  const places = listenerSettings(config)
    .filter(({ kind, port }) => kind !== 'unix' && port !== 0)
    .map(({ name, host, port, givesWay }) => ({ name, host, port, givesWay }));
  if (config.httpPort !== 0) {
    places.push({ name: 'http', host: config.httpHost, port: config.httpPort, givesWay: false });
  }
  return await Promise.all(
    places.map(async ({ name, host, port, givesWay }) => {
      const state = await tryPort(host, port);
      const holder = state === 'taken' ? listenerOf(port) : undefined;
      const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      return checkPort({ name, address, state, holder, givesWay }, running);
    }),
  );
}

/** Listens for a moment. */
function tryPort(host: string, port: number): Promise<PortFacts['state']> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'EADDRINUSE' ? 'taken' : code === 'EACCES' ? 'forbidden' : 'no-address');
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('free')));
  });
}
