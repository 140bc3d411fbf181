import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { eventually } from '../helpers/eventually.js';
import { FleetProcess } from '../helpers/fleet-process.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

describeWithBinary(
  'a process of a fleet that was frozen',
  'redis-server',
  'apt-get install redis-server',
  () => {
    let unleash: SharedUnleash;
    let redis: RedisServer;
    let folder: string;
    const fleet: FleetProcess[] = [];

    beforeAll(async () => {
      [unleash, redis, folder] = await Promise.all([
        sharedUnleash(),
        RedisServer.start(),
        mkdtemp(join(tmpdir(), 'fleet-frozen-')),
      ]);
    });

    afterEach(async () => {
      for (const each of fleet) each.thaw();
      await Promise.all(fleet.splice(0).map((each) => each.close()));
    });

    afterAll(async () => {
      await redis?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const until = (what: string, condition: () => unknown) =>
      eventually(async () => expect(await condition(), what).toBeTruthy());

    const served = async (each: FleetProcess, requests: number) => {
      const before = (await each.report()).report.served;
      await until('served', async () => (await each.report()).report.served >= before + requests);
    };

    it.each(['leader', 'follower'])(
      'does not overrule an operator when it wakes (a %s)',
      {
        timeout: 120_000,
      },
      async (role) => {
        const flagKey = `fleet-frozen-${role}`;
        await unleash.createFlag(flagKey, { percentage: 50 });
        for (let count = 0; count < 3; count++) {
          fleet.push(await FleetProcess.start(unleash, redis.url, folder, { flagKey, requestsAtOnce: 5 }));
        }
        for (const each of fleet) each.send('serve');
        const roles = async () => Promise.all(fleet.map(async (each) => (await each.report()).role));
        await until('a leader', async () => (await roles()).includes('leader'));
        const frozen = fleet[(await roles()).indexOf(role)]!;
        const others = fleet.filter((each) => each !== frozen);
        // It has failures of its own that no other process knows, enough to stop the flag.
        await frozen.failAndFreeze();
        for (const each of others) each.send('break');
        await until('stopped by the fleet', () =>
          others.every((each) => each.all('stopped-here').length > 0),
        );
        await until('off in Unleash', async () => !(await unleash.flag(flagKey)).enabled);
        for (const each of fleet) each.send('fix');
        await unleash.enable(flagKey);
        await until('re-armed', () => others.every((each) => each.all('re-armed').length > 0));
        const decisions = () =>
          fleet.flatMap((each) => each.all('decided')).filter(({ by }) => by === undefined).length;
        const before = decisions();
        frozen.thaw();
        await served(frozen, 500);
        for (const each of others) await served(each, 500);
        expect(decisions()).toBe(before);
        // What was published meanwhile may reach it late, in order.
        await until('armed', () => frozen.all('re-armed').length === frozen.all('stopped-here').length);
        expect((await unleash.flag(flagKey)).enabled).toBe(true);
        expect(new Set(await roles())).toEqual(new Set(['leader', 'follower']));
        expect(fleet.flatMap((each) => each.all('fault'))).toEqual([]);
      },
    );
  },
);
