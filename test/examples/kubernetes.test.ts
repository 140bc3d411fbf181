import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, RedisServer } from '../../examples/fleet/redis-server.js';
import { flagKey, OPERATION_TIMEOUT_MS } from '../../examples/kubernetes/rules.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { ExampleProcess, unleashVariables, until } from './example-process.js';
import { type Container, type Labels, type Manifest, readManifests, selects } from './manifests.js';

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const files = await readManifests(root('examples/kubernetes'));
const manifests = [...files.values()].flat();
const ofKind = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);
const deployments = new Map(ofKind('Deployment').map((found) => [found.metadata.name, found]));
const service = deployments.get('search')!;
const controller = deployments.get('search-rollout-guard')!;
const podOf = ({ spec }: Manifest) => spec.template.spec;
const containerOf = (manifest: Manifest) => podOf(manifest).containers[0];
const both: [string, Manifest][] = [
  ['service', service],
  ['controller', controller],
];

describe('the manifests for Kubernetes', () => {
  it('are all applied, but for what needs the Prometheus operator', () => {
    const [kustomization] = files.get('kustomization.yaml')!;
    const others = [...files.keys()].filter((file) => !/^(kustomization|monitoring)\.yaml$/.test(file));
    expect([...kustomization!.resources!].sort()).toEqual(others);
  });

  it('select the pods that they are about', () => {
    const labels = [...deployments.values()].map(({ spec }) => spec.template.metadata.labels);
    const found = (selector: Labels) => labels.filter((pod) => selects(selector, pod)).length;
    for (const { spec } of deployments.values()) {
      expect(found(spec.selector.matchLabels)).toBe(1);
      expect(selects(spec.selector.matchLabels, spec.template.metadata.labels)).toBe(true);
      for (const { labelSelector } of spec.template.spec.topologySpreadConstraints ?? []) {
        expect(labelSelector).toEqual(spec.selector);
      }
    }
    expect(ofKind('PodDisruptionBudget').map(({ spec }) => found(spec.selector.matchLabels))).toEqual([1, 1]);
    expect(ofKind('NetworkPolicy').map(({ spec }) => found(spec.podSelector.matchLabels))).toEqual([1]);
    expect(ofKind('PodMonitor').map(({ spec }) => found(spec.selector.matchLabels))).toEqual([2]);
    const [toService] = ofKind('Service');
    expect(
      selects(toService!.spec.selector as unknown as Labels, service.spec.template.metadata.labels),
    ).toBe(true);
  });

  it.each(both)('name ports that the container of the %s has, and give it the same ones', (_, manifest) => {
    const { ports, env, startupProbe, readinessProbe, livenessProbe } = containerOf(manifest);
    const names = new Set(ports.map(({ name }) => name));
    for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
      if (probe !== undefined) expect(names).toContain(probe.httpGet.port);
    }
    for (const { port } of ofKind('PodMonitor')[0]!.spec.podMetricsEndpoints!) expect(names).toContain(port);
    const given = env.filter(({ name }) => name.endsWith('PORT')).map(({ value }) => Number(value));
    expect(given).toEqual(ports.map(({ containerPort }) => containerPort));
  });

  it('name ports of the pods that they lead to', () => {
    const names = (manifest: Manifest) => containerOf(manifest).ports.map(({ name }) => name);
    expect(names(service)).toContain(ofKind('Service')[0]!.spec.ports![0]!.targetPort);
    expect(names(controller)).toContain(ofKind('NetworkPolicy')[0]!.spec.ingress![0]!.ports[0]!.port);
  });

  it('need the secrets that docs/kubernetes.md makes, and the admin token in the controller alone', async () => {
    const made = await secretsOfDocs();
    for (const manifest of [service, controller]) {
      const { env, envFrom } = containerOf(manifest);
      for (const { secretRef, configMapRef } of envFrom) {
        if (secretRef !== undefined) expect([...made.keys()]).toContain(secretRef.name);
        if (configMapRef !== undefined)
          expect(ofKind('ConfigMap').map(({ metadata }) => metadata.name)).toContain(configMapRef.name);
      }
      for (const { valueFrom } of env) {
        if (valueFrom === undefined) continue;
        expect(made.get(valueFrom.secretKeyRef.name)).toContain(valueFrom.secretKeyRef.key);
      }
    }
    expect(Object.keys(environmentOf(controller, made))).toContain('UNLEASH_ADMIN_TOKEN');
    expect(Object.keys(environmentOf(service, made))).not.toContain('UNLEASH_ADMIN_TOKEN');
  });

  it.each(both)('let the %s run without rights, and write into its volumes alone', (_, manifest) => {
    const { securityContext, volumes } = podOf(manifest);
    const container = containerOf(manifest);
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources).toMatchObject({ requests: expect.anything(), limits: expect.anything() });
    const mounted = container.volumeMounts.map(({ name }) => name).sort();
    expect(volumes.map(({ name }) => name).sort()).toEqual(mounted);
    for (const { emptyDir } of volumes) expect(emptyDir).toHaveProperty('sizeLimit');
  });

  it('give pods the time that they need to end', () => {
    const ends = 5 + 3;
    const { lifecycle } = containerOf(service);
    const waits = Number(lifecycle!.preStop.exec.command.at(-1));
    const requests = (2 * OPERATION_TIMEOUT_MS) / 1_000;
    expect(podOf(service).terminationGracePeriodSeconds).toBeGreaterThan(waits + requests + ends);
    expect(podOf(controller).terminationGracePeriodSeconds).toBeGreaterThan(ends);
  });

  it('run the image that the Dockerfile makes', async () => {
    const dockerfile = await readFile(root('examples/kubernetes/Dockerfile'), 'utf8');
    expect(dockerfile).toContain('USER 1000');
    expect(dockerfile).toContain(`CMD ${JSON.stringify(containerOf(service).command).replaceAll(',', ', ')}`);
    for (const manifest of [service, controller]) {
      expect(dockerfile).toContain(`WORKDIR ${containerOf(manifest).workingDir}\n`);
    }
    expect(containerOf(service).image).toBe(containerOf(controller).image);
  });
});

/** The secrets that the commands of the how-to make: their keys by their names. */
async function secretsOfDocs(): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = (await readFile(root('docs/kubernetes.md'), 'utf8')).replaceAll('\\\n', ' ');
  return new Map(
    [...text.matchAll(/kubectl create secret generic (\S+)(.*)/g)].map(([, name, rest]) => [
      name!,
      [...rest!.matchAll(/--from-literal=(\w+)=/g)].map(([, key]) => key!),
    ]),
  );
}

/** What a container gets; the values of secrets are their keys' names. */
function environmentOf(
  manifest: Manifest,
  secrets: ReadonlyMap<string, readonly string[]>,
): Record<string, string> {
  const { env, envFrom } = containerOf(manifest);
  const fromAll = envFrom.flatMap(({ configMapRef, secretRef }) =>
    configMapRef !== undefined
      ? Object.entries(ofKind('ConfigMap').find(({ metadata }) => metadata.name === configMapRef.name)!.data!)
      : secrets.get(secretRef!.name)!.map((key) => [key, key] as const),
  );
  const own = env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom!.secretKeyRef.key] as const);
  return Object.fromEntries([...fromAll, ...own]);
}

/** The container of a pod as a process: its command and environment, but for the addresses of this machine. */
class Pod implements AsyncDisposable {
  readonly process: ExampleProcess;
  readonly #container: Container;
  readonly #ports: Readonly<Record<string, number>>;

  private constructor(process: ExampleProcess, container: Container, ports: Record<string, number>) {
    this.process = process;
    this.#container = container;
    this.#ports = ports;
  }

  static async start(manifest: Manifest, values: Readonly<Record<string, string>>): Promise<Pod> {
    const container = containerOf(manifest);
    const environment = environmentOf(manifest, await secretsOfDocs());
    const ports: Record<string, number> = {};
    for (const { name, containerPort } of container.ports) {
      const variable = Object.keys(environment).find((key) => environment[key] === String(containerPort))!;
      ports[name] = await freePort();
      environment[variable] = String(ports[name]);
    }
    for (const name of Object.keys(environment)) environment[name] = values[name] ?? environment[name]!;
    const command = await Promise.all(container.command.map(onThisMachine));
    return new Pod(
      await ExampleProcess.start(
        command.filter((part) => part !== 'node'),
        environment,
      ),
      container,
      ports,
    );
  }

  ask(port: string, path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#ports[port]}${path}`);
  }

  /** The status that a probe gets. */
  async probe(kind: 'readinessProbe' | 'livenessProbe'): Promise<number> {
    const { path, port } = this.#container[kind].httpGet;
    return (await this.ask(port, path)).status;
  }

  async metrics(): Promise<string> {
    const { port, path } = ofKind('PodMonitor')[0]!.spec.podMetricsEndpoints![0]!;
    return await (await this.ask(port, path)).text();
  }

  /** What it wrote outside of its volumes. */
  async written(): Promise<string[]> {
    const { workingDir, volumeMounts } = this.#container;
    const mounted = volumeMounts.map(({ mountPath }) => mountPath.replace(`${workingDir}/`, ''));
    // The folder is /tmp as well: unleash-client's backup is one file in it.
    const found = await readdir(this.process.folder);
    return found.filter((name) => !mounted.includes(name) && !/^unleash-backup-.*\.json$/.test(name));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

async function onThisMachine(part: string): Promise<string> {
  if (part === 'node_modules/.bin/rollout-guard') return await compiledFile('dist/cli.js');
  const file = /^dist\/(.*)\.js$/.exec(part)?.[1];
  return file === undefined ? part : await compiledFile(`examples/kubernetes/${file}.ts`);
}

describeWithBinary('the containers of the pods', 'redis-server', 'apt-get install redis-server', () => {
  let unleash: SharedUnleash;
  let redis: RedisServer;
  let searching: Pod;
  let controllers: Pod[] = [];

  beforeAll(async () => {
    [unleash, redis] = await Promise.all([sharedUnleash(), RedisServer.start()]);
    await unleash.createFlag(flagKey, { percentage: 50 });
  });

  beforeEach(async () => {
    const pods = [searching, ...controllers];
    // Tests that end them may be tried again.
    if (pods.length > 1 && pods.every((pod) => !pod.process.hasEnded)) return;
    await endAll();
    const values = { ...unleashVariables(unleash), REDIS_URL: redis.url };
    for (let replica = 0; replica < controller.spec.replicas; replica++) {
      controllers.push(await Pod.start(controller, values));
    }
    searching = await Pod.start(service, values);
  });

  afterAll(async () => {
    await endAll();
    await redis?.close();
  });

  async function endAll(): Promise<void> {
    for (const pod of [searching, ...controllers]) await pod?.[Symbol.asyncDispose]();
    controllers = [];
  }

  const roleOf = async (pod: Pod) => ((await (await pod.ask('management', '/health')).json()) as Role).role;
  interface Role {
    readonly role: string;
  }
  const search = async (user: number, query: string) => {
    const reply = await searching.ask('http', `/?user=user-${user}&q=${encodeURIComponent(query)}`);
    return [reply.status, await reply.json()];
  };

  const oneLeads = () =>
    until(async () =>
      expect((await Promise.all(controllers.map(roleOf))).sort()).toEqual(['follower', 'leader']),
    );

  it('become ready and live, and one controller of two leads', async () => {
    for (const pod of [searching, ...controllers]) {
      await until(async () => expect(await pod.probe('readinessProbe'), pod.process.said).toBe(200));
      expect(await pod.probe('livenessProbe')).toBe(200);
      expect(await pod.metrics()).toMatch(/^rollout_guard_info\{flag="indexed-search",.*\} 1$/m);
    }
    await oneLeads();
  });

  it('serve all users while the new path fails, and the controller turns the flag off', async () => {
    // An address that cannot be read ends that request only.
    expect((await searching.ask('http', '//')).status).toBe(500);
    for (let user = 0; user < 60; user++) {
      expect(await search(user, 'c++')).toEqual([200, ['C++ for cooks']]);
    }
    await until(async () => expect((await unleash.flag(flagKey)).enabled).toBe(false));
    const leader = (await roleOf(controllers[0]!)) === 'leader' ? controllers[0]! : controllers[1]!;
    await until(async () => {
      const metrics = await leader.metrics();
      expect(metrics).toMatch(/^rollout_guard_state\{flag="indexed-search",.*state="stopped"\} 1$/m);
      expect(metrics).toMatch(/^rollout_guard_prevented_incidents_total\{flag="indexed-search",.*\} 1$/m);
    });
    // A stop is no reason to restart or to take away anything.
    for (const pod of [searching, ...controllers]) {
      expect([await pod.probe('readinessProbe'), await pod.probe('livenessProbe')]).toEqual([200, 200]);
    }
  });

  it('end with 0 on SIGTERM; the other controller leads, and nothing was written outside of volumes', async () => {
    await oneLeads();
    const isFirst = (await roleOf(controllers[0]!)) === 'leader';
    const [leader, other] = isFirst ? controllers : [...controllers].reverse();
    expect(await leader!.process.ends('SIGTERM')).toBe(0);
    await until(async () => expect(await roleOf(other!)).toBe('leader'));
    for (const pod of [searching, other!]) expect(await pod.process.ends('SIGTERM')).toBe(0);
    for (const pod of [searching, ...controllers]) expect(await pod.written()).toEqual([]);
  });
});
