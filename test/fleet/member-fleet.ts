import { afterAll, afterEach, beforeAll } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { MemberProcess } from './member-process.js';

/** A Redis of the suite, and the processes of one test's fleet, which are closed when it ends. Call it within `describe`. */
export function useMemberFleet() {
  let redis: RedisServer;
  let client: Awaited<ReturnType<RedisServer['client']>>;
  let flag = 0;
  const processes: MemberProcess[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start();
    client = await redis.client();
  });

  afterEach(async () => {
    await Promise.all(processes.splice(0).map(({ member }) => member.close()));
  });

  afterAll(async () => {
    await client?.close();
    await redis?.close();
  });

  return {
    processes,
    get url() {
      return redis.url;
    },
    get flagKey() {
      return `flag-${flag}`;
    },
    /** To look into Redis beside the processes. */
    get client() {
      return client;
    },
    /** The full name of a key of the test's flag. */
    key: (name: string) => `rollout-guard:{production/flag-${flag}}:${name}`,
    /** The fleet of another flag. */
    begin: () => ++flag,
    /** A process of it that has not joined yet. */
    make(options?: ConstructorParameters<typeof MemberProcess>[2]): MemberProcess {
      const made = new MemberProcess(redis.url, `flag-${flag}`, options);
      processes.push(made);
      return made;
    },
  };
}
