import { createHook } from 'node:async_hooks';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import { RedisConnection } from '../../../src/fleet/redis/redis-client.js';
import { bareScript } from '../../../src/fleet/redis/script.js';
import { type BreakableLink, openLink, passOn } from '../../helpers/breakable-link.js';
import { eventually } from '../../helpers/eventually.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';

const ONE = bareScript('return 1');
const PUBLISH = bareScript("return redis.call('PUBLISH', 'channel', 'now')");

describeWithBinary('RedisConnection', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let link: BreakableLink;
  let connection: RedisConnection;
  const messages: string[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    connection.release();
    await link.pause();
    messages.length = 0;
  });

  afterAll(() => redis.close());

  /** With both connections open, and tested often. */
  async function open(): Promise<void> {
    link = await openLink(redis.url);
    connection = new RedisConnection(link.url.replace('http', 'redis'), 2_000, 100);
    connection.retain();
    expect(await connection.evaluate(ONE, [], [])).toBe(1);
    await connection.subscribe('channel', (message) => messages.push(message));
  }

  const publishes = async () => {
    await connection.evaluate(PUBLISH, [], []);
    expect(messages).not.toEqual([]);
  };

  it('is used again after it was lost without a word, also for what is published', async () => {
    await open();
    const lost = new Set(link.clients);
    link.onAnswer = (part, client) => {
      if (!lost.has(client)) passOn(part, client);
    };
    await eventually(publishes);
    expect([...link.clients].filter((client) => lost.has(client))).toEqual([]);
  });

  it('stays open while nothing is sent', async () => {
    await open();
    const before = [...link.clients];
    let connected = 0;
    connection.onConnected(() => connected++);
    let answers = 0;
    link.onAnswer = (part, client) => {
      answers++;
      passOn(part, client);
    };
    // Each of both connections is tested: for longer than one that is silent stays open.
    await eventually(() => expect(answers).toBeGreaterThan(50));
    expect([[...link.clients], connected]).toEqual([before, 0]);
    await eventually(publishes);
  });

  it('makes no timer for a command', async () => {
    await open();
    let timers = 0;
    const hook = createHook({ init: (_id, type) => void (type === 'Timeout' && timers++) }).enable();
    for (let command = 0; command < 50; command++) await connection.evaluate(ONE, [], []);
    hook.disable();
    expect(timers).toBeLessThan(50);
  });

  it('says when it has connected again', async () => {
    await open();
    let connected = 0;
    const end = connection.onConnected(() => connected++);
    for (const client of link.clients) client.destroy();
    await eventually(() => expect(connected).toBe(2));
    end();
    for (const client of link.clients) client.destroy();
    await eventually(publishes);
    expect(connected).toBe(2);
  });
});
