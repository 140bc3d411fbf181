import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { eventually } from '../helpers/eventually.js';
import { flagsAhead } from '../helpers/flags-ahead.js';
import { type GuardedService, startGuardedService } from '../helpers/guarded-service.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function until(condition: () => unknown): Promise<unknown> {
  // Processes start slowly where many suites run at once.
  return eventually(condition);
}

/** `rollout-guard run` as a process of its own. */
class ControllerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  out = '';
  problems = '';

  constructor(main: string, config: string, environment: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [main, 'run', '--config', config], {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout!.on('data', (data) => {
      this.out += data;
    });
    this.#child.stderr!.on('data', (data) => {
      this.problems += data;
    });
    this.#ended = once(this.#child, 'close');
  }

  /** The messages that it logged. */
  get messages(): string[] {
    return this.out
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { msg: string }).msg);
  }

  async logs(text: string): Promise<void> {
    await until(() => expect(this.messages.join('\n')).toContain(text));
  }

  /** Waits for its end. @returns the exit code. */
  async exits(): Promise<number | null> {
    await until(() => expect(this.#child.exitCode, this.out + this.problems).not.toBeNull());
    await this.#ended;
    return this.#child.exitCode;
  }

  /** Where it answers `/health`. */
  async healthUrl(): Promise<string> {
    await this.logs('Health: GET ');
    return /Health: GET (\S+)/.exec(this.messages.join('\n'))![1]!;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.exits();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

interface FrozenController {
  /** What its `/health` said right after. */
  readonly awake: { readonly status: number; readonly codes: readonly string[] };
  readonly messages: string;
  readonly code: number | null;
}

describeWithBinary('rollout-guard run', 'redis-server', 'apt-get install redis-server', () => {
  let unleash: SharedUnleash;
  let redis: RedisServer;
  let folder: string;
  let service: GuardedService | undefined;
  let flagKey: string;
  const nextFlag = flagsAhead('run-upload', { percentage: 100 });
  const controllers: ControllerProcess[] = [];
  let frozen: Promise<FrozenController> | undefined;

  beforeAll(async () => {
    [unleash, redis] = await Promise.all([
      sharedUnleash(),
      RedisServer.start('--requirepass', 'redis-secret'),
    ]);
    frozen = freezeController();
    frozen.catch(() => {});
  });

  afterAll(async () => {
    await frozen?.catch(() => {});
    await redis?.close();
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'run-'));
    flagKey = await nextFlag();
  });

  afterEach(async () => {
    for (const controller of controllers.splice(0)) controller.kill();
    await service?.close();
    service = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  const redisUrl = (password = 'redis-secret') => `redis://:${password}@127.0.0.1:${redis.port}`;

  async function startController(
    variables: Readonly<Record<string, string>> = {},
    url = unleash.apiUrl,
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<ControllerProcess> {
    const controller = await launch(folder, variables, { flagKey, ...unleashAt(url), ...options });
    controllers.push(controller);
    return controller;
  }

  function unleashAt(url: string) {
    const { project, environment } = unleash;
    return { unleash: { url, project, environment } };
  }

  async function launch(
    place: string,
    variables: Readonly<Record<string, string>>,
    options: Readonly<Record<string, unknown>>,
  ): Promise<ControllerProcess> {
    const config = join(place, 'controller.json');
    await writeFile(
      config,
      JSON.stringify({
        folder: false,
        tickMs: 100,
        // Longer than the test: only a controller that leaves by itself hands over.
        redis: { leaseMs: 600_000, timeoutMs: 20_000 },
        rollback: [{ successRateBelow: [0.95, { minOutcomes: 100 }] }],
        ...options,
      }),
    );
    return new ControllerProcess(await compiledFile('dist/cli.js'), config, {
      UNLEASH_ADMIN_TOKEN: unleash.adminToken,
      UNLEASH_CLIENT_TOKEN: unleash.clientToken,
      REDIS_URL: redisUrl(),
      ...variables,
    });
  }

  /** A controller whose process is frozen for seconds, and sees again half a minute later: beside the other tests. */
  async function freezeController(): Promise<FrozenController> {
    const key = `run-frozen-${randomUUID()}`;
    const place = await mkdtemp(join(tmpdir(), 'run-frozen-'));
    await unleash.createFlag(key, { percentage: 100 });
    const controller = await launch(
      place,
      {},
      { flagKey: key, ...unleashAt(unleash.apiUrl), health: { port: 0 } },
    );
    try {
      const url = await controller.healthUrl();
      const health = async () => {
        const reply = await fetch(url);
        const { reasons, role } = (await reply.json()) as { reasons: { code: string }[]; role: string };
        return { status: reply.status, role, codes: reasons.map(({ code }) => code) };
      };
      await eventually(async () =>
        expect(await health()).toEqual({ status: 200, role: 'leader', codes: [] }),
      );
      controller.signal('SIGSTOP');
      await sleep(7_000);
      controller.signal('SIGCONT');
      const awake = await health();
      await eventually(async () => expect((await health()).status).toBe(200), 500);
      await controller.logs('The guard is no longer blind');
      const code = await controller.end('SIGTERM');
      return { awake, messages: controller.messages.join('\n'), code };
    } finally {
      controller.kill();
      await rm(place, { recursive: true, force: true });
    }
  }

  /** A service that has no admin token. */
  async function startService(): Promise<GuardedService> {
    const { apiUrl: url, project, environment } = unleash;
    service = await startGuardedService(unleash, flagKey, join(folder, 'service'), {
      unleash: { url, project, environment },
      store: new RedisOutcomeStore({ url: redisUrl(), flushMs: 100 }),
    });
    return service;
  }

  it('turns the flag off for a service without an admin token, and exits with 0 on SIGTERM', async () => {
    const [{ serve, guard, isOn, events }, controller] = await Promise.all([
      startService(),
      startController(),
    ]);
    await controller.logs(`${flagKey} is on at 100 % | armed | leader`);
    await until(() => expect(guard.status().fleet).toMatchObject({ role: 'follower', epoch: 1 }));
    const answers = await serve(200, (user) => (user % 2 === 0 ? new Error('down') : undefined));
    expect(answers.filter((answer) => answer === 'old')).toHaveLength(100);

    await until(() => expect(guard.state.status).toBe('stopped'));
    expect(await isOn('anybody')).toBe(false);
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
    const decided = events.filter((event) => event.type === 'decided');
    expect(decided).toMatchObject([{ by: 'fleet', decision: { verdicts: [{ observed: 0.5 }] } }]);
    expect(guard.status().fleet?.role).toBe('follower');
    await controller.logs('The flag is off in Unleash.');

    expect(await controller.end('SIGTERM')).toBe(0);
    expect(controller.problems).toBe('');
    expect(controller.out).not.toContain('reading the memory');
    for (const secret of [unleash.adminToken, unleash.clientToken, 'redis-secret']) {
      expect(controller.out).not.toContain(secret);
    }
  });

  it('guards several flags of one file with one connection to Redis for each use, and stops only the one that fails', async () => {
    const other = `${flagKey}-other`;
    await unleash.createFlag(other, { percentage: 100 });
    const rollback = [{ successRateBelow: [0.95, { minOutcomes: 100 }] }];
    const [{ serve, guard }, controller] = await Promise.all([
      startService(),
      startController({}, undefined, {
        flagKey: undefined,
        rollback: undefined,
        flags: { [flagKey]: { rollback }, [other]: { rollback } },
        health: { port: 0 },
      }),
    ]);
    for (const key of [flagKey, other]) await controller.logs(`${key} is on at 100 % | armed | leader`);
    const reply = await (await fetch(await controller.healthUrl())).json();
    expect(reply).toMatchObject({ flags: { [flagKey]: { role: 'leader' }, [other]: { role: 'leader' } } });
    await serve(200, (user) => (user % 2 === 0 ? new Error('down') : undefined));
    await until(() => expect(guard.state.status).toBe('stopped'));
    await controller.logs('The flag is off in Unleash.');
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
    expect((await unleash.flag(other)).enabled).toBe(true);
    expect(await controller.end('SIGTERM')).toBe(0);
  });

  it('leaves the fleet when it ends, so that another controller leads at once', async () => {
    const [{ serve, guard }, one, other] = await Promise.all([
      startService(),
      startController(),
      startController(),
    ]);
    const isOnAs = (role: string) => `${flagKey} is on at 100 % | armed | ${role}`;
    await until(() => expect(one.messages.join() + other.messages.join()).toContain(isOnAs('leader')));
    const [first, second] = one.messages.join().includes(isOnAs('leader')) ? [one, other] : [other, one];
    await second.logs(isOnAs('follower'));
    expect(await first.end('SIGINT')).toBe(0);
    await second.logs(`${flagKey} is on at 100 % | armed | leader`);
    await serve(100, () => new Error('down'));
    await until(() => expect(guard.state.status).toBe('stopped'));
    await second.logs('The flag is off in Unleash.');
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
    expect(await second.end('SIGTERM')).toBe(0);
  });

  it.each([
    [
      'a wrong password for Redis',
      () => ({ REDIS_URL: redisUrl('other-secret') }),
      'The user name or password for Redis is wrong.\n',
    ],
    ['a client token that Unleash refuses', () => ({ UNLEASH_CLIENT_TOKEN: 'no-such-secret' }), 'token'],
  ])('exits with 1 and one line that names the cause: %s', async (_what, environment, text) => {
    const controller = await startController(environment());
    const code = await controller.exits();
    expect({ code, problems: controller.problems }).toEqual({
      code: 1,
      problems: expect.stringContaining(text),
    });
    expect(controller.problems.trimEnd().split('\n')).toHaveLength(1);
    expect(controller.out + controller.problems).not.toContain('secret');
    expect((await unleash.flag(flagKey)).enabled).toBe(true);
  });

  it('exits with 2 and lists what is missing in its configuration', async () => {
    const controller = await startController({ UNLEASH_ADMIN_TOKEN: '', REDIS_URL: '' });
    const code = await controller.exits();
    expect({ code, problems: controller.problems }).toEqual({
      code: 2,
      problems: expect.stringMatching(/2 problems\n.*unleash\.token: .*\n.*redis\.url: /),
    });
  });

  it('answers /health with 503 while it still waits for Unleash, and refuses a port that is taken', async () => {
    const waiting = await startController({}, 'http://127.0.0.1:9/api', { health: { port: 0 } });
    const url = await waiting.healthUrl();
    const reply = await fetch(url);
    expect([reply.status, await reply.json()]).toMatchObject([
      503,
      { flagKey, status: 'blind', reasons: [{ code: 'not-started' }] },
    ]);
    const other = await startController({}, undefined, { health: { port: Number(new URL(url).port) } });
    expect(await other.exits()).toBe(1);
    expect(other.problems).toContain('EADDRINUSE');
    expect(await waiting.end('SIGTERM')).toBe(0);
  });

  it('exits with 0 on SIGTERM while it still waits for Unleash', async () => {
    const controller = await startController({}, 'http://127.0.0.1:9/api');
    await controller.logs('The connection to Unleash is lost');
    expect(await controller.end('SIGTERM')).toBe(0);
    expect(controller.problems).toBe('');
    expect(controller.messages.join('\n')).not.toContain('The guard has started');
  });

  it('answers /health: 200, 503 after its process was frozen, and 200 again', async () => {
    frozen ??= freezeController();
    const { awake, messages, code } = await frozen.finally(() => {
      // Another attempt freezes another one.
      frozen = undefined;
    });
    expect(awake).toMatchObject({ status: 503, codes: ['event-loop-blocked'] });
    expect(messages).toContain('The guard is blind: event-loop-blocked');
    expect(messages).toContain('| blind: event-loop-blocked');
    expect(code).toBe(0);
  });
});
