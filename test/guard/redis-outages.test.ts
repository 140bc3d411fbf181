import { expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { type BreakableLink, openLink, passOn } from '../helpers/breakable-link.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';

interface World {
  readonly redis: RedisServer;
  /** What the processes have for Redis. */
  readonly link: BreakableLink;
  /** Connected beside the link. */
  readonly admin: Awaited<ReturnType<RedisServer['client']>>;
}

interface Outage {
  /** What Redis does, or is. */
  readonly name: string;
  readonly args?: readonly string[];
  /** How long an answer may take; by default, more than it takes on a busy machine. */
  readonly timeoutMs?: number;
  readonly begin: (world: World) => unknown;
  readonly end: (world: World) => unknown;
  /** What each process reports of it; only the last is sure to come. */
  readonly reports?: readonly RegExp[];
  readonly faults?: readonly RegExp[];
}

function cutAll({ link }: World): void {
  for (const client of link.clients) client.destroy();
}

/** What becomes of answers until the outage ends. */
function answering(onAnswer: BreakableLink['onAnswer']): Pick<Outage, 'begin' | 'end'> {
  return {
    begin: ({ link }) => {
      link.onAnswer = onAnswer;
    },
    // What was not passed on does not come later, nor after what is passed on now.
    end: (world) => {
      world.link.onAnswer = passOn;
      cutAll(world);
    },
  };
}

const restart = { begin: ({ redis }: World) => redis.kill(), end: ({ redis }: World) => redis.resume() };

const OUTAGES: readonly Outage[] = [
  { name: 'is refused', begin: ({ link }) => link.pause(), end: ({ link }) => link.resume() },
  {
    name: 'accepts and never answers',
    ...answering(() => {}),
    timeoutMs: 500,
    reports: [/timed out|does not reply/],
  },
  {
    name: 'answers too late',
    ...answering((part, client) => void setTimeout(() => client.destroyed || client.write(part), 1_000)),
    timeoutMs: 500,
    reports: [/timed out|does not reply/],
  },
  {
    name: 'breaks off in the middle of each answer',
    ...answering((part, client) => void client.end(part.subarray(0, part.length / 2))),
  },
  { name: 'restarts without its data', ...restart, faults: [/it had lost data/] },
  { name: 'is replaced by a replica that was behind', args: ['--dbfilename', 'saved.rdb'], ...restart },
  {
    name: 'has become a replica',
    begin: ({ admin }) => admin.sendCommand(['REPLICAOF', '127.0.0.1', '1']),
    end: ({ admin }) => admin.sendCommand(['REPLICAOF', 'NO', 'ONE']),
    reports: [/replica and accepts no writes/],
  },
  {
    name: 'is out of memory',
    begin: ({ admin }) => admin.configSet('maxmemory', '1mb'),
    end: ({ admin }) => admin.configSet('maxmemory', '0'),
    reports: [/out of memory/],
  },
  {
    name: 'has another password',
    begin: async (world) => {
      await world.admin.configSet('requirepass', 'other');
      cutAll(world);
    },
    end: ({ admin }) => admin.configSet('requirepass', ''),
    reports: [/cannot be reached/, /password/],
  },
  {
    name: 'accepts no more clients',
    begin: async (world) => {
      await world.admin.configSet('maxclients', '1');
      cutAll(world);
    },
    end: ({ admin }) => admin.configSet('maxclients', '1000'),
  },
];

interface Member {
  readonly guard: RolloutGuard;
  readonly harness: GuardHarness;
}

/** The incidents of decisions that a receiver of all notifications has open. */
function openDecisions(members: readonly Member[]): string[] {
  const incidents = members.flatMap(({ harness }) =>
    harness.notified.flatMap(({ incident }) => incident ?? []),
  );
  const opened = incidents.filter(({ key, status }) => key.startsWith('decision-') && status === 'open');
  const isResolved = (key: string) =>
    incidents.some((each) => each.key === key && each.status === 'resolved');
  return [...new Set(opened.map(({ key }) => key))].filter((key) => !isResolved(key));
}

describeWithBinary('guards whose Redis', 'redis-server', 'apt-get install redis-server', () => {
  /** Three processes, of which the last has no admin token. */
  async function withMembers(
    { args = [], timeoutMs = 10_000 }: Outage,
    run: (world: World, members: readonly Member[]) => Promise<void>,
  ): Promise<void> {
    const redis = await RedisServer.start(...args);
    const world = { redis, link: await openLink(redis.url), admin: await redis.client() };
    const members: Member[] = [];
    try {
      for (const token of ['*:*.made-up', '*:*.made-up', undefined]) {
        const harness = await GuardHarness.create();
        const guard = harness.guard({
          store: new RedisOutcomeStore({
            ...{ url: world.link.url.replace('http', 'redis'), timeoutMs },
            ...{ flushMs: 100, evaluateMs: 20, leaseMs: 1_000 },
          }),
          unleash: { url: 'http://unleash.test/api', environment: 'production', token },
          fetch: (members[0]?.harness ?? harness).unleash.fetch,
          tickMs: 50,
          notify: harness.notify,
        });
        members.push({ guard, harness });
        await guard.start();
      }
      await run(world, members);
    } finally {
      await Promise.all(members.map(({ harness }) => harness.close()));
      world.admin.destroy();
      await world.link.pause();
      await redis.close();
    }
  }

  const fleetOf = ({ guard }: Member) => guard.status().fleet!;
  const isBack = (member: Member) =>
    fleetOf(member).role !== 'standalone' && fleetOf(member).problem === undefined;

  it.concurrent.each(OUTAGES)(
    '$name stop by their own outcomes, report it once, and count each once afterwards',
    {
      timeout: 120_000,
    },
    async (outage) => {
      const { begin, end, reports = [/Redis cannot be reached or does not reply/], faults = [] } = outage;
      await withMembers(outage, async (world, members) => {
        const { harness } = members[0]!;
        const all = (what: string, check: (member: Member) => boolean) =>
          harness.until(what, () => members.every(check));
        const untilCounted = (failures: number, successes: number) =>
          harness.until(`${failures} failures counted`, () => {
            const leader = members.find((member) => fleetOf(member).role === 'leader');
            const { treatment } = leader?.guard.status().snapshot.total ?? {};
            return treatment?.failures === failures && treatment.successes === successes;
          });
        const upload = ({ guard }: Member) =>
          guard.operation({ treatment: () => 'new', control: () => 'old' })(
            { targetingKey: 'ann' },
            undefined,
          );
        await all('back', isBack);
        if (outage.args !== undefined) await world.admin.sendCommand(['SAVE']);
        // The replica has none of these.
        await Promise.all(members.map(upload));
        await untilCounted(0, 3);
        await all('connected', isBack);

        await begin(world);
        await all('standalone', (member) => fleetOf(member).role === 'standalone');
        await all('what is wrong', (member) => reports.at(-1)!.test(fleetOf(member).problem ?? ''));
        for (const { guard, harness } of members) await harness.fail(guard);
        await all('stopped by itself', ({ harness }) => harness.flags.isOverridden());
        for (const { harness } of members) {
          const problems = harness.reported('fleet-connection').map(({ problem }) => problem);
          // On a busy machine there may have been another one before.
          const current = problems.slice(problems.lastIndexOf(undefined) + 1);
          expect(current.at(-1)).toMatch(reports.at(-1)!);
          expect(current.length).toBeLessThanOrEqual(reports.length);
        }

        await end(world);
        await all('back', isBack);
        await untilCounted(60, 3);
        for (const { harness } of members) {
          expect(harness.flags.isOverridden()).toBe(true);
          const reported = harness.reported('fault').map(({ what, message }) => `${what}: ${message}`);
          expect(reported).toEqual(faults.map((fault) => expect.stringMatching(fault)));
        }
        // Each has notified of its own decision, and one of them applies.
        await harness.until('one incident is left', () => openDecisions(members).length === 1);
      });
    },
  );
});
