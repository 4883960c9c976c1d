/**
 * What `deploy/`, the examples and the Dockerfile hold, read and compared with the code: variables, ports, paths, selectors.
 * Nothing is started here; image.e2e.ts does that.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { ignoredVariables, loadConfig } from '../../src/config/config.js';
import { fileOf, filesOf } from '../repository/tree.js';
import { environmentOf, instructionsOf, parseDockerfile } from './dockerfile.js';

const ports = { mqtt: 1883, ws: 8083, wss: 8084, tls: 8883, http: 18083 };
const dataDir = '/var/lib/sluice';
const settings = loadConfig({});

/** Any part of a YAML file. */
type Node = Readonly<Record<string, unknown>>;

const files = filesOf('.', /^(deploy|examples)\/.*\.ya?ml$/);
const documents = new Map(
  files.map(({ path, text }): [string, Node[]] => {
    const parsed = parseAllDocuments(text);
    return [path, Array.isArray(parsed) ? parsed.map((document) => document.toJS() as Node) : []];
  }),
);

function documentOf(name: string, kind?: string): Node {
  const found = documents.get(name)?.find((one) => kind === undefined || one['kind'] === kind);
  if (found === undefined) throw new Error(`${name} has no ${kind ?? 'document'}`);
  return found;
}

/** What lies at `a.b.0.c` of a document. */
function at(node: unknown, where: string): unknown {
  return where.split('.').reduce<unknown>((inner, key) => (inner as Node | undefined)?.[key], node);
}

/** Variables of a compose service, whether written as a list or as a map. */
function variablesOf(service: unknown): Record<string, string> {
  const given = (service as Node)['environment'];
  if (!Array.isArray(given)) return (given ?? {}) as Record<string, string>;
  return Object.fromEntries((given as string[]).map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
}

const imageStage = parseDockerfile(fileOf('Dockerfile').text).at(-1);
const imageEnvironment = imageStage === undefined ? {} : environmentOf(imageStage);

/** Compose files by their path, with the service of the broker. */
const composed = [...documents]
  .filter(([, [first]]) => at(first, 'services.sluice.environment') !== undefined)
  .map(([name, [first]]) => ({ name, service: at(first, 'services.sluice') as Node }));

describe('YAML', () => {
  test('every file is read without error or warning [broker]', () => {
    const faults = files.flatMap(({ path, text }) => {
      const parsed = parseAllDocuments(text);
      return Array.isArray(parsed)
        ? parsed.flatMap(({ errors, warnings }) => [...errors, ...warnings].map((one) => `${path}: ${one}`))
        : [`${path}: empty`];
    });
    expect(faults).toEqual([]);
    expect(files.length).toBeGreaterThan(8);
  });
});

describe('Dockerfile', () => {
  const stages = parseDockerfile(fileOf('Dockerfile').text);

  test('what is copied exists and is not left out of the context [broker]', () => {
    const ignored = new Set(fileOf('.dockerignore').text.split('\n'));
    const sources = stages
      .flatMap((stage) => instructionsOf(stage, 'COPY'))
      .filter(({ flags }) => !flags.has('from'))
      .flatMap(({ text }) => text.split(/\s+/).slice(0, -1));
    expect(sources).toContain('src');
    expect(sources.filter((one) => !existsSync(one) || ignored.has(one.split('/')[0] ?? ''))).toEqual([]);
  });

  test('it ends with an ordinary user, exec forms, the ports of the listeners and the volume of the data directory [broker]', () => {
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error('no stage');
    expect(instructionsOf(stage, 'USER').map(({ text }) => text)).toEqual(['node']);
    for (const keyword of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK']) {
      expect(instructionsOf(stage, keyword)[0]?.exec, keyword).toBeDefined();
    }
    const exposed = instructionsOf(stage, 'EXPOSE').flatMap(({ text }) => text.split(' ').map(Number));
    expect(exposed.toSorted((a, b) => a - b)).toEqual(Object.values(ports).toSorted((a, b) => a - b));
    expect(instructionsOf(stage, 'VOLUME').map(({ text }) => text)).toEqual([dataDir]);
    expect(imageEnvironment['SLUICE_DATA_DIR']).toBe(dataDir);
  });

  test('an instruction that its reader does not know is an error [broker]', () => {
    expect(() => parseDockerfile('FROM a\nADD x y')).toThrow('unknown instruction: ADD x y');
    expect(() => parseDockerfile('RUN x')).toThrow('before the first FROM');
    expect(parseDockerfile('# c\nFROM a AS b\nCOPY --from=x a \\\n  b')).toMatchObject([
      { name: 'b', base: 'a', instructions: [{ keyword: 'COPY', text: 'a b', exec: undefined }] },
    ]);
  });
});

describe('settings', () => {
  const environments: [string, Record<string, string>][] = [
    ['Dockerfile', imageEnvironment],
    ...composed.map(({ name, service }): [string, Record<string, string>] => [
      name,
      { ...imageEnvironment, ...variablesOf(service) },
    ]),
    [
      'deploy/kubernetes/configmap.yaml',
      {
        ...imageEnvironment,
        ...(documentOf('deploy/kubernetes/configmap.yaml')['data'] as Record<string, string>),
      },
    ],
    [
      'deploy/systemd/sluice.env.example',
      environmentFile('deploy/systemd/sluice.env.example', /^#?([A-Z].*)$/gm),
    ],
    [
      'deploy/systemd/sluice.env.example as it is',
      environmentFile('deploy/systemd/sluice.env.example', /^([A-Z].*)$/gm),
    ],
  ];

  function environmentFile(name: string, line: RegExp): Record<string, string> {
    const pairs = [...fileOf(name).text.matchAll(line)].map(([, pair = '']) =>
      pair.split(/=(.*)/s).slice(0, 2),
    );
    return Object.fromEntries(pairs) as Record<string, string>;
  }

  test.each(environments)(
    '%s names settings that exist, with values that the broker accepts [broker]',
    (_, env) => {
      expect(Object.keys(env).length).toBeGreaterThan(0);
      expect(() => loadConfig(env)).not.toThrow();
      expect(ignoredVariables(env)).toEqual([]);
    },
  );

  test('the files that a broker is told to read are mounted where it looks for them [broker]', () => {
    expect(composed.length).toBe(3);
    for (const { name, service } of composed) {
      const mounts = (service['volumes'] as string[]).map((mount) => mount.split(':')[1] ?? '');
      const named = Object.entries(variablesOf(service))
        .filter(([variable]) => variable.endsWith('_FILE'))
        .map(([, value]) => value);
      expect(named.length, name).toBeGreaterThan(0);
      for (const file of named) {
        expect(
          mounts.some((mount) => mount === file || mount === path.dirname(file)),
          `${name}: ${file}`,
        ).toBe(true);
      }
    }
    const container = at(
      documentOf('deploy/kubernetes/statefulset.yaml'),
      'spec.template.spec.containers.0',
    ) as Node;
    const places = (container['volumeMounts'] as Node[]).map((mount) => mount['mountPath']);
    expect(places).toEqual([dataDir, '/etc/sluice']);
    const secrets = Object.keys(documentOf('deploy/kubernetes/secret.example.yaml')['stringData'] as Node);
    const data = documentOf('deploy/kubernetes/configmap.yaml')['data'] as Record<string, string>;
    const wanted = Object.entries(data).filter(([name]) => name.endsWith('_FILE'));
    expect(wanted.map(([, value]) => path.basename(value)).toSorted()).toEqual(secrets.toSorted());
  });
});

describe('compose', () => {
  test('ports, health check, limits and volumes fit the broker [broker]', () => {
    for (const { name, service } of composed) {
      const published = (service['ports'] as string[]).map((port) => Number(port.split(':').at(-1)));
      expect(
        published.filter((port) => !Object.values(ports).includes(port)),
        name,
      ).toEqual([]);
      expect(at(service, 'healthcheck.test'), name).toEqual(['CMD', 'sluice', 'ctl', 'status']);
    }
    const one = at(documentOf('deploy/compose/compose.yaml'), 'services.sluice') as Node;
    expect(one).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    expect(at(one, 'ulimits.nofile')).toBeGreaterThanOrEqual(settings.connectionsMax + 1000);
    expect(one['volumes']).toContain(`data:${dataDir}`);
    expect(Number.parseInt(String(one['stop_grace_period']), 10) * 1000).toBeGreaterThan(
      settings.drainTimeoutMs,
    );
  });

  test('what the files mount from this repository is there [broker]', () => {
    const missing = [...documents].flatMap(([name, [first]]) =>
      Object.values((at(first, 'services') ?? {}) as Record<string, Node>)
        .flatMap((service) => (service['volumes'] ?? []) as string[])
        .map((mount) => mount.split(':')[0] ?? '')
        // `config` is made by whoever deploys.
        .filter((source) => /^\.\.?\//.test(source) && !source.startsWith('./config'))
        .map((source) => path.join(path.dirname(name), source))
        .filter((source) => !existsSync(source))
        .map((source) => `${name}: ${source}`),
    );
    expect(missing).toEqual([]);
  });

  test('Prometheus asks the broker of the compose file, as a viewer, for the path that has the metrics [broker]', () => {
    const job = at(documentOf('deploy/compose/prometheus.yml'), 'scrape_configs.0') as Node;
    expect(job).toMatchObject({ metrics_path: '/metrics', basic_auth: { username: 'prometheus' } });
    expect(at(job, 'static_configs.0.targets')).toEqual([`sluice:${ports.http}`]);
  });
});

describe('Kubernetes', () => {
  const pod = at(documentOf('deploy/kubernetes/statefulset.yaml'), 'spec.template.spec') as Node;
  const container = at(pod, 'containers.0') as Node;
  const named = new Map(
    (container['ports'] as Node[]).map((port) => [port['name'], port['containerPort']] as const),
  );

  test('the pod is confined, and gets no variables that the broker would refuse [broker]', () => {
    expect(pod).toMatchObject({
      // A Service named sluice would add variables that begin with its name.
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(container['securityContext']).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(Number(pod['terminationGracePeriodSeconds']) * 1000).toBeGreaterThan(settings.drainTimeoutMs);
    const linked = ['SLUICE', 'PORT'].join('_');
    expect(() => loadConfig({ [linked]: 'tcp://10.0.0.1:1883' })).toThrow(linked);
  });

  test('ports have the names that services and probes use [broker]', () => {
    expect(Object.fromEntries(named)).toEqual({ mqtt: ports.mqtt, ws: ports.ws, http: ports.http });
    for (const service of documents.get('deploy/kubernetes/service.yaml') ?? []) {
      for (const port of at(service, 'spec.ports') as Node[]) {
        expect(port['port']).toBe(named.get(port['targetPort']));
      }
    }
    for (const [probe, where] of [
      ['startupProbe', '/health/live'],
      ['livenessProbe', '/health/live'],
      ['readinessProbe', '/health/ready'],
    ] as const) {
      expect(at(container, `${probe}.httpGet`)).toEqual({ path: where, port: 'http' });
    }
  });

  test('everything selects the same pods, and the volume has the name that is mounted [broker]', () => {
    const set = documentOf('deploy/kubernetes/statefulset.yaml');
    const labels = at(set, 'spec.template.metadata.labels');
    const selectors = [
      at(set, 'spec.selector.matchLabels'),
      at(documentOf('deploy/kubernetes/pod-disruption-budget.yaml'), 'spec.selector.matchLabels'),
      ...(documents.get('deploy/kubernetes/service.yaml') ?? []).map((service) =>
        at(service, 'spec.selector'),
      ),
    ];
    for (const selector of selectors) expect(selector).toEqual(labels);
    expect(at(set, 'spec.serviceName')).toBe(
      at(documents.get('deploy/kubernetes/service.yaml')?.[0], 'metadata.name'),
    );
    expect(at(set, 'spec.volumeClaimTemplates.0.metadata.name')).toBe(at(container, 'volumeMounts.0.name'));
    const listed = documentOf('deploy/kubernetes/kustomization.yaml')['resources'] as string[];
    const present = [...documents.keys()]
      .filter((name) => /^deploy\/kubernetes\/(?!kustomization|secret)/.test(name))
      .map((name) => path.basename(name));
    expect(listed.toSorted()).toEqual(present.toSorted());
  });

  const hasKubectl = spawnSync('kubectl', ['version', '--client'], { env: offline() }).status === 0;

  test.runIf(hasKubectl)('kubectl puts them together [broker]', () => {
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', 'deploy/kubernetes'], {
      env: offline(),
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain('image: sluice:latest');
  });

  /** An environment in which kubectl knows no cluster. */
  function offline(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: tmpdir(), KUBECONFIG: '/dev/null' };
  }
});

describe('systemd', () => {
  const unit = fileOf('deploy/systemd/sluice.service').text;

  test('the unit leaves room for every connection, reloads by SIGHUP and does not repeat faults of the configuration [broker]', () => {
    expect(Number(/^LimitNOFILE=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThanOrEqual(
      settings.connectionsMax + 1000,
    );
    expect(unit).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
    expect(unit).toMatch(/^RestartPreventExitStatus=2$/m);
    expect(unit).toContain(`SLUICE_DATA_DIR=${dataDir}`);
    expect(unit).toMatch(/^StateDirectory=sluice$/m);
  });

  const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;

  test.runIf(hasAnalyze)(
    'systemd understands every line, and finds the service well confined [broker]',
    () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'sluice-test-'));
      try {
        const copy = path.join(folder, 'sluice.service');
        // Node.js may lie elsewhere on this machine, and the program is not installed.
        writeFileSync(copy, unit.replace('/usr/bin/node', process.execPath));
        const verified = spawnSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8' });
        expect(verified.stderr).toBe('');
        expect(verified.status).toBe(0);
        const threshold = spawnSync(
          'systemd-analyze',
          ['security', '--offline=yes', '--threshold=20', copy],
          {
            encoding: 'utf8',
          },
        );
        expect(threshold.status, threshold.stdout).toBe(0);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  test('kernel settings are lines that sysctl reads [broker]', () => {
    const lines = fileOf('deploy/systemd/60-sluice.conf')
      .text.split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => !/^[a-z0-9_.]+ = \d+( \d+)*$/.test(line))).toEqual([]);
    const somaxconn = lines.find((line) => line.startsWith('net.core.somaxconn'));
    const backlog = /^const backlog = (\d+);/m.exec(fileOf('src/net/server-start.ts').text)?.[1];
    expect(somaxconn).toBe(`net.core.somaxconn = ${backlog}`);
  });
});
