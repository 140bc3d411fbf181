import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { startPrometheus } from '../helpers/real-prometheus.js';

const RULES = join(import.meta.dirname, '../../examples/prometheus/rollout-guard.rules.yml');
const RULE_TESTS = RULES.replace('.rules.yml', '.rules.test.yml');
const STAGES = [{ percentage: 10, minOutcomes: 50, minSuccessRate: 0.9 }];

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});
afterEach(() => harness.close());

describeWithBinary('the metrics of a guard', 'prometheus', 'apt-get install prometheus', (program) => {
  it('are read back by Prometheus: stage, trigger, outcomes, decisions and what was prevented', async () => {
    const guard = await harness.started({ tickMs: 10, stages: STAGES });
    const server = createServer(guard.metrics()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const prometheus = await startPrometheus(program, target);
    const query = async (expression: string): Promise<string | undefined> => {
      const url = `${prometheus.url}/api/v1/query?query=${encodeURIComponent(`rollout_guard_${expression}`)}`;
      const { data } = (await (await fetch(url)).json()) as {
        data: { result: { value: [number, string] }[] };
      };
      return data.result[0]?.value[1];
    };
    const reads = (expected: Record<string, string>) =>
      eventually(async () => {
        const found = await Promise.all(Object.keys(expected).map(query));
        expect(Object.fromEntries(Object.keys(expected).map((each, n) => [each, found[n]]))).toEqual(
          expected,
        );
      }, 100);
    try {
      await reads({
        'state{flag="async-upload",state="armed"}': '1',
        rollout_percentage: '10',
        stage_percentage: '10',
        prevented_incidents_total: '0',
        'trigger_threshold{trigger="success-rate-below",severity="rollback"}': '0.95',
      });
      await harness.fail(guard);
      await reads({
        'state{state="stopped"}': '1',
        'state{state="armed"}': '0',
        'outcomes_total{arm="treatment",result="failure"}': '20',
        'trigger_observed{trigger="success-rate-below"}': '0',
        'trigger_breached{trigger="success-rate-below"}': '1',
        'decisions_total{action="stop",by="triggers",dry_run="false"}': '1',
        prevented_incidents_total: '1',
      });
    } finally {
      await prometheus.close();
      server.closeAllConnections();
      server.close();
    }
  });

  it('satisfy promtool, with names that must be escaped, and so do the alert rules', async () => {
    const name = 'a "name"\\of\nits own';
    const own = {
      name,
      windowMs: 0,
      evaluate: () => ({
        trigger: name,
        status: 'ok' as const,
        observed: Number.POSITIVE_INFINITY,
        threshold: 1,
        sampleSize: { treatment: 0, control: 0 },
        windowMs: 0,
        message: 'fine',
      }),
    };
    const guard = await harness.started({ tickMs: 10, rollback: [successRateBelow(0.9), own] });
    await harness.ticks(3);
    const text = guard.prometheus();
    expect(text).toContain(
      'trigger="a \\"name\\"\\\\of\\nits own",severity="rollback",dry_run="false"} +Inf\n',
    );
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const place = /^rollout_guard_\w+\{flag="async-upload",environment="production",project="default"[,}]/;
    expect(samples.filter((line) => !place.test(line))).toEqual([]);
    const check = (...args: string[]) =>
      execFileSync('promtool', ['check', ...args], { input: text, encoding: 'utf8', stdio: 'pipe' });
    expect(check('metrics')).toBe('');
    expect(check('rules', RULES)).toContain('SUCCESS: 8 rules found');
    const tested = execFileSync('promtool', ['test', 'rules', RULE_TESTS], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(tested).toContain('SUCCESS');
  });
});

it('answers GET and HEAD alone', async () => {
  const guard = harness.guard();
  const server = createServer(guard.metrics()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const replies = await Promise.all(['GET', 'HEAD', 'POST'].map((method) => fetch(url, { method })));
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 405]);
  expect(replies[0]?.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await replies[0]?.text()).toContain(
    'rollout_guard_state{flag="async-upload",environment="production",project="default",state="armed"} 1\n',
  );
  server.closeAllConnections();
  server.close();
});
