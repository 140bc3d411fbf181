import { afterAll, beforeAll } from 'vitest';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import { FleetMember } from '../../../src/fleet/fleet-member.js';
import { RedisOutcomeStore } from '../../../src/fleet/redis/redis-outcome-store.js';
import { MemoryOutcomeStore } from '../../../src/measure/memory-outcome-store.js';
import { systemClock } from '../../../src/support/clock.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';
import { describeOutcomeStore } from '../../measure/outcome-store-contract.js';

describeWithBinary('in a fleet', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let number = 0;
  const members: FleetMember[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(async () => {
    await Promise.all(members.map((member) => member.close()));
    await redis.close();
  });

  // A follower, so that it evaluates its own share; its timers are as good as off.
  describeOutcomeStore(
    'RedisOutcomeStore’s member',
    async (setup) => {
      const prefix = `contract-${++number}`;
      const store = new RedisOutcomeStore({ url: redis.url, prefix, timeoutMs: 20_000 });
      const own = new MemoryOutcomeStore(setup);
      const member = new FleetMember({
        own,
        emptyStore: () => new MemoryOutcomeStore(setup),
        link: store.link({ flagKey: setup.flagKey, environment: 'production' }),
        // The contract plays at a time of its own.
        clock: { now: () => setup.now, monotonic: systemClock.monotonic },
        timing: { flushMs: 3_600_000, evaluateMs: 3_600_000, leaseMs: 3_600_000 },
        mayLead: false,
        rules: [],
        revision: () => 'ten',
        reportedState: { get: () => ({ openReviews: [] }), set: () => {} },
        listener: {
          onStop: () => {},
          onInvalidStop: () => {},
          onState: () => {},
          onOutcomes: () => {},
          onEpoch: () => {},
          onConnection: () => {},
          onFault: (what, error) => {
            throw new Error(what, { cause: error });
          },
        },
      });
      members.push(member);
      await member.sync();
      // As the guard does: it records into the process's own store, and evaluates what the member shows.
      return new Proxy<MemoryOutcomeStore>(own, {
        get: (_, name) => {
          const owner = name === 'snapshot' || name === 'beginEpoch' ? member : own;
          const value = Reflect.get(owner, name);
          return typeof value === 'function' ? value.bind(owner) : value;
        },
      });
    },
    10,
  );
});
