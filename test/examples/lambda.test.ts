import { once } from 'node:events';
import { InMemStorageProvider } from 'unleash-client';
import { UnleashProvider } from 'unleash-rollout-guard';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import type { ThumbnailEvent } from '../../examples/lambda/thumbnail.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { ExampleProcess, unleashVariables, until } from './example-process.js';
import type { FromRuntime } from './lambda-runtime.js';

const FLAG = 'webp-thumbnails';

/** One execution environment of the function: it runs while an invocation does, and never else. */
class Environment {
  readonly process: ExampleProcess;

  private constructor(process: ExampleProcess) {
    this.process = process;
  }

  static async start(variables: Readonly<Record<string, string | undefined>>): Promise<Environment> {
    const files = ['test/examples/lambda-runtime.ts', 'examples/lambda/handler.ts'];
    const environment = new Environment(
      await ExampleProcess.start(await Promise.all(files.map(compiledFile)), variables),
    );
    await environment.#received('ready');
    environment.#freeze();
    return environment;
  }

  async invoke(event: ThumbnailEvent): Promise<unknown> {
    const { child } = this.process;
    child.kill('SIGCONT');
    const answer = this.#received('answer');
    child.send(event);
    const { value, error } = await answer;
    this.#freeze();
    if (error !== undefined) throw new Error(error);
    return value;
  }

  #freeze(): void {
    this.process.child.kill('SIGSTOP');
  }

  async #received<T extends FromRuntime['type']>(type: T): Promise<FromRuntime & { type: T }> {
    const [message] = (await once(this.process.child, 'message')) as [FromRuntime];
    expect(message.type).toBe(type);
    return message as FromRuntime & { type: T };
  }
}

describeWithBinary('the Lambda function', 'redis-server', 'apt-get install redis-server', () => {
  let unleash: SharedUnleash;
  let redis: RedisServer;
  let controller: ExampleProcess;
  const environments: Environment[] = [];

  const variables = () => {
    const { UNLEASH_ADMIN_TOKEN: _, ...known } = unleashVariables(unleash);
    return { ...known, REDIS_URL: redis.url, FLAGS_MAX_AGE_MS: '0' };
  };
  const event = (user: number, widthPx: number) => ({ userId: `user-${user}`, image: 'cat', widthPx });

  beforeAll(async () => {
    [unleash, redis] = await Promise.all([sharedUnleash(), RedisServer.start()]);
    await unleash.createFlag(FLAG, { percentage: 50 });
    const files = ['dist/cli.js', 'examples/lambda/controller.ts'];
    const [cli, config] = await Promise.all(files.map(compiledFile));
    controller = await ExampleProcess.start([cli!, 'run', '--config', config!], {
      ...unleashVariables(unleash),
      REDIS_URL: redis.url,
      HEALTH_PORT: '0',
    });
    await controller.says(`${FLAG} is on at 50 % | armed | leader`);
    environments.push(...(await Promise.all([1, 2].map(() => Environment.start(variables())))));
  });

  afterAll(async () => {
    for (const { process } of environments) await process[Symbol.asyncDispose]();
    await controller?.[Symbol.asyncDispose]();
    await redis?.close();
  });

  /** SDKs get a change up to a second after the admin API accepted it. */
  const offForClients = async () => {
    const client = new UnleashProvider({
      url: unleash.apiUrl,
      appName: 'lambda-test',
      customHeaders: { Authorization: unleash.clientToken },
      storageProvider: new InMemStorageProvider(),
      logger: false,
    });
    try {
      await client.initialize();
      await until(async () => {
        await client.refresh();
        expect(client.flag(FLAG)).toMatchObject({ enabled: false });
      });
    } finally {
      await client.onClose();
    }
  };

  it('has sent its outcome when it answers, though it is frozen from then on', async () => {
    const [one, other] = environments;
    const client = await redis.client();
    const counted = async () => {
      const keys = await client.keys(`rollout-guard:{*/${FLAG}}:totals:*`);
      const totals = await Promise.all(keys.map((key) => client.hGetAll(key)));
      const successes = totals.flatMap((each) => [each['successes:treatment'], each['successes:control']]);
      return successes.reduce((sum, each) => sum + Number(each ?? 0), 0);
    };
    const before = await counted();
    const answers = [];
    for (let user = 0; user < 20; user++) {
      answers.push(await (user % 2 === 0 ? one! : other!).invoke(event(user, 64)));
    }
    expect(new Set(answers)).toEqual(new Set(['cat@64.webp', 'cat@64.jpg']));
    expect((await counted()) - before).toBe(20);
    await client.close();
  });

  it('serves every user while the new path fails; the controller turns the flag off, and the next invocation knows', async () => {
    const [one, other] = environments;
    let invocations = 0;
    const answers: unknown[] = [];
    // The other environment is frozen all the time.
    await until(async () => {
      answers.push(await one!.invoke(event(invocations++, 8)));
      expect((await unleash.flag(FLAG)).enabled).toBe(false);
    });
    expect(new Set(answers)).toEqual(new Set(['cat@8.jpg']));
    await controller.says('The flag is off in Unleash.');
    await offForClients();
    for (let user = 0; user < 20; user++) {
      expect(await other!.invoke(event(user, 64))).toBe('cat@64.jpg');
    }
  });

  it('serves the control without Unleash and Redis', async () => {
    await redis.kill();
    const alone = await Environment.start({ ...variables(), UNLEASH_URL: 'http://127.0.0.1:9/api' });
    environments.push(alone);
    expect(await alone.invoke(event(1, 64))).toBe('cat@64.jpg');
  });
});
