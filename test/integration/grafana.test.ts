import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { failureRegression } from '../../src/triggers/event-regression.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { startPrometheus } from '../helpers/real-prometheus.js';

const FOLDER = join(import.meta.dirname, '../../examples/grafana');

const datasource = z.object({ type: z.literal('prometheus'), uid: z.literal(`$${'{datasource}'}`) });
const target = z.object({
  refId: z.string().regex(/^[A-Z]$/),
  expr: z.string().min(1),
  legendFormat: z.string(),
  datasource,
});
const panel = z.object({
  id: z.int().positive(),
  type: z.enum(['row', 'stat', 'timeseries', 'state-timeline', 'table']),
  title: z.string().min(1),
  gridPos: z.object({ x: z.int().min(0), y: z.int().min(0), w: z.int().min(1), h: z.int().min(1) }),
  description: z.string().min(1).optional(),
  datasource: datasource.optional(),
  targets: z.array(target).default([]),
});
const variable = (name: string) =>
  z.object({
    name: z.literal(name),
    type: z.literal('query'),
    includeAll: z.literal(true),
    datasource,
    query: z.object({ query: z.string() }),
  });
const dashboard = z.object({
  uid: z.string().regex(/^[a-zA-Z0-9_-]{1,40}$/),
  title: z.string().min(1),
  schemaVersion: z.int().min(36),
  templating: z.object({
    list: z.tuple([
      z.object({
        name: z.literal('datasource'),
        type: z.literal('datasource'),
        query: z.literal('prometheus'),
      }),
      variable('project'),
      variable('environment'),
      variable('flag'),
    ]),
  }),
  annotations: z.object({
    list: z.array(
      z.object({
        name: z.string(),
        datasource,
        expr: z.string(),
        titleFormat: z.string(),
        textFormat: z.string(),
      }),
    ),
  }),
  panels: z.array(panel),
});

const given = dashboard.parse(JSON.parse(readFileSync(join(FOLDER, 'rollout-guard.json'), 'utf8')));
const { panels, annotations, templating } = given;

/** Every query, with the labels that its legend names. */
const queries = [
  ...panels.flatMap(({ title, targets }) =>
    targets.map(({ expr, legendFormat }) => ({ title, expr, legend: legendFormat })),
  ),
  ...annotations.list.map(({ name, expr, titleFormat, textFormat }) => ({
    title: name,
    expr,
    legend: `${titleFormat} ${textFormat}`,
  })),
];

describe("Grafana's dashboard", () => {
  it('has panels with numbers of their own that do not overlap, within 24 columns', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const [index, { title, gridPos: one }] of panels.entries()) {
      expect(one.x + one.w, title).toBeLessThanOrEqual(24);
      const overlapping = panels.slice(index + 1).filter(({ gridPos: other }) => {
        const apartX = one.x + one.w <= other.x || other.x + other.w <= one.x;
        return !apartX && one.y < other.y + other.h && other.y < one.y + one.h;
      });
      expect(
        overlapping.map((panel) => panel.title),
        title,
      ).toEqual([]);
    }
  });

  it('asks the data source that is chosen, for the flags and environments that are chosen, in every panel', () => {
    for (const { type, title, targets, description } of panels) {
      expect(targets.length > 0, title).toBe(type !== 'row');
      expect(description !== undefined, title).toBe(type !== 'row');
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
    }
    for (const { title, expr } of queries) {
      const selectors = expr.match(/rollout_guard_[a-z_]+(\{[^}]*\})?/g) ?? [];
      for (const selector of selectors) {
        expect(selector, title).toContain('{flag=~"$flag", environment=~"$environment", project=~"$project"');
      }
    }
  });

  it('adds up nothing over environments, and names the environment wherever it names the flag', () => {
    const grouped = queries.flatMap(({ expr }) => [...expr.matchAll(/\b(by|on) \(([^)]*)\)/g)]);
    expect(grouped.length).toBeGreaterThanOrEqual(queries.length);
    for (const [clause] of grouped) expect(clause).toContain('(flag, environment, project');
    for (const { title, legend } of queries) {
      if (legend.includes('{{flag}}')) expect(legend, title).toContain('{{flag}} ({{environment}})');
    }
  });

  it('is provisioned with its data source', () => {
    const read = (name: string) => parse(readFileSync(join(FOLDER, 'provisioning', name), 'utf8'));
    expect(read('datasources.yml')).toMatchObject({ apiVersion: 1, datasources: [{ type: 'prometheus' }] });
    expect(read('dashboards.yml')).toMatchObject({
      apiVersion: 1,
      providers: [{ type: 'file', options: { path: expect.stringMatching(/^\//) } }],
    });
  });
});

describeWithBinary("Grafana's queries", 'prometheus', 'apt-get install prometheus', (program) => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });
  afterEach(() => harness.close());

  async function serve(guard: RolloutGuard): Promise<{ target: string; close: () => void }> {
    const server = createServer(guard.metrics()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const close = () => {
      server.closeAllConnections();
      server.close();
    };
    return { target: `127.0.0.1:${(server.address() as AddressInfo).port}`, close };
  }

  it('name metrics and labels of the guard, and each finds something in a rollout that is stopped', async () => {
    harness.unleash.pats = [{ description: 'guard', expiresAt: '2100-01-01T00:00:00.000Z', seenAt: null }];
    const guard = await harness.started({
      tickMs: 10,
      unleash: { url: 'http://unleash.test/api', token: 'user:made-up', environment: 'production' },
      rollback: [
        errorRateAbove(0.6, { minOutcomes: 40, strict: true }),
        errorRateAbove(0.2, { minOutcomes: 30, strict: true, name: 'tried', dryRun: true }),
        successRateBelow(0.05, { minOutcomes: 500 }),
        failureRegression(),
      ],
      stages: [10, 50].map((percentage) => ({ percentage, minOutcomes: 10, minSuccessRate: 0.1 })),
    });
    const { target, close } = await serve(guard);
    const prometheus = await startPrometheus(program, target);
    const from = Date.now() / 1_000;
    const ask = async (path: string, parameters: Record<string, string>) => {
      const response = await fetch(`${prometheus.url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
      return (await response.json()) as { status: string; error?: string; data: unknown };
    };
    /** As Grafana fills the variables in, with intervals that fit a test. */
    const filled = (expr: string) =>
      expr
        .replaceAll('$flag', 'async-upload')
        .replaceAll('$environment', 'production')
        .replaceAll('$project', 'default')
        .replaceAll(/\$__(rate_interval|range|interval)/g, '10s');
    /** The queries that have found nothing since the test began. */
    const empty = async (some: typeof queries) => {
      const found = await Promise.all(
        some.map(async ({ expr, title }) => {
          const until = String(Date.now() / 1_000);
          const range = { query: filled(expr), start: String(from), end: until, step: '1' };
          const { status, error, data } = await ask('query_range', range);
          if (status !== 'success') throw new Error(`${title}: ${error}`);
          return (data as { result: unknown[] }).result.length === 0 ? [`${title}: ${expr}`] : [];
        }),
      );
      return found.flat();
    };
    const scraped = async (expr: string) =>
      eventually(async () => {
        const { data } = await ask('query', { query: expr });
        expect((data as { result: unknown[] }).result, expr).not.toEqual([]);
      }, 100);
    try {
      await scraped('rollout_guard_rollout_percentage == 10');
      const upload = guard.operation({ treatment: () => 'new', control: () => 'old', retries: 0 });
      for (let user = 0; user < 10; user++) await upload({ targetingKey: `user-${user}` }, undefined);
      // A control beside the treatment, so that there is evidence.
      for (let user = 0; user < 40; user++) {
        const flagMetadata = { chance: 0.5, contextId: `seen-${user}` };
        guard.exposed({ value: user % 2 === 0, reason: 'SPLIT', flagMetadata }, `seen-${user}`);
        guard.track('async-upload', { targetingKey: `seen-${user}` }, { success: true });
      }
      await harness.fail(guard, 10);
      await scraped('rollout_guard_stage_met == 1');
      await scraped('rollout_guard_outcomes_total{result="failure"} >= 10');
      harness.flags.change({ rolloutPercentage: 50 });
      await scraped('rollout_guard_rollout_percentage == 50');
      await harness.fail(guard, 60);
      await harness.until('stopped', () => guard.state.status === 'stopped');
      await scraped('rollout_guard_prevented_incidents_total == 1');
      await eventually(async () => expect(await empty(queries)).toEqual([]), 500);
      for (const { title, expr, legend } of queries) {
        const labels = new Set<string>();
        for (const name of expr.match(/rollout_guard_[a-z_]+/g) ?? []) {
          const range = { start: String(from), end: String(Date.now() / 1_000) };
          const series = (await ask('series', { 'match[]': name, ...range })).data as object[];
          expect(series, `${title}: ${name}`).not.toEqual([]);
          for (const label of series.flatMap(Object.keys)) labels.add(label);
        }
        const named = [
          ...[...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!),
          ...[...expr.matchAll(/(?:by|on) \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', ')),
          ...[...expr.matchAll(/[{,] ?(\w+)(?:=~|=|!=)/g)].map(([, label]) => label!),
        ];
        expect(
          named.filter((label) => !labels.has(label)),
          title,
        ).toEqual([]);
      }
      const rules = parse(readFileSync(join(FOLDER, '../prometheus/rollout-guard.rules.yml'), 'utf8')) as {
        groups: { rules: { expr: string }[] }[];
      };
      for (const { expr } of rules.groups.flatMap((group) => group.rules)) {
        for (const name of expr.match(/rollout_guard_[a-z_]+/g) ?? []) {
          const { data } = await ask('series', {
            'match[]': name,
            start: String(from),
            end: String(Date.now() / 1_000),
          });
          expect(data, expr).not.toEqual([]);
        }
      }
      const [, ...variables] = templating.list;
      const values = await Promise.all(
        variables.map(async ({ query }) => {
          const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(query.query)!;
          return (await ask(`label/${label}/values`, { 'match[]': filled(selector!) })).data;
        }),
      );
      expect(values).toEqual([['default'], ['production'], ['async-upload']]);
    } finally {
      await prometheus.close();
      close();
    }
  });
});
