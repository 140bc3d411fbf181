/**
 * How fast a recorded log is replayed, and that its memory does not grow with the log. The rules are those of the first
 * rollout, sequential tests included; the log is three weeks of it. Run with `tsx bench/replay.ts [lines]`.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncUploadRollout } from '../src/guard/options/async-upload-rollout.js';
import { resolveRules } from '../src/guard/options/rules.js';
import { jsonLineOf, type OutcomeRow, RepeatedNames } from '../src/log/log-row-schema.js';
import { replayLog } from '../src/what-if/replay/replay-log.js';
import { collectGarbage } from './harness.js';

const STEPS = [1, 10, 50, 100];
const THREE_WEEKS_MS = 21 * 24 * 3_600_000;
const START = Date.UTC(2026, 2, 2);

function rowAt(index: number, lines: number): OutcomeRow {
  const at = START + Math.floor((index / lines) * THREE_WEEKS_MS);
  const step = Math.floor((index / lines) * STEPS.length);
  const percentage = STEPS[step]!;
  const isOn = Math.random() * 100 < percentage;
  const success = Math.random() > 0.004;
  const timestamp = new Date(at).toISOString();
  return {
    timestamp,
    flag_key: 'async-upload',
    arm: isOn ? 'treatment' : 'control',
    execution_type: isOn ? 'async' : 'sync',
    success,
    result: success ? 'success' : 'failure',
    duration_ms: Math.round((isOn ? 400 : 600) * Math.exp(Math.random() - 0.5) * 100) / 100,
    error_type: success ? null : 'TimeoutError',
    fallback_used: false,
    percentage,
    epoch: step + 1,
    file_size_mb: 3.5,
    provider: 's3',
    request_id: `request-${index}`,
    chance: 0.1,
    unit: null,
    operation: true,
    user: (index % 50_000).toString(16).padStart(16, '0'),
    critical: false,
    attempts: 1,
    user_succeeded: success,
    reason: 'SPLIT',
    variant: null,
    evaluation_error: null,
    exposed_ms_ago: 0,
    attributes: null,
    weight: 1,
  };
}

async function writeLog(path: string, lines: number): Promise<void> {
  const file = createWriteStream(path);
  const names = new RepeatedNames();
  for (let index = 0; index < lines; ) {
    let chunk = '';
    for (const end = Math.min(lines, index + 1_000); index < end; index++) {
      chunk += jsonLineOf(rowAt(index, lines), names);
    }
    if (!file.write(chunk)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

async function measure(path: string, lines: number) {
  await writeLog(path, lines);
  collectGarbage();
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 50);
  const before = process.cpuUsage();
  const from = performance.now();
  const { outcomes, decisions } = await replayLog(path, { rules: resolveRules(asyncUploadRollout) });
  const { user, system } = process.cpuUsage(before);
  clearInterval(watch);
  if (outcomes !== lines) throw new Error(`${outcomes} of ${lines} lines were replayed`);
  return {
    lines,
    'log, MB': Number(((await stat(path)).size / 1e6).toFixed(0)),
    'wall, s': Number(((performance.now() - from) / 1000).toFixed(2)),
    'processor, s': Number(((user + system) / 1e6).toFixed(2)),
    'peak memory, MB': Number((peak / 1e6).toFixed(0)),
    decisions: decisions.total,
  };
}

const most = Number(process.argv[2] ?? 1_000_000);
const folder = await mkdtemp(join(tmpdir(), 'replay-'));
try {
  const results = [];
  for (const lines of [most / 10, most / 4, most]) {
    results.push(await measure(join(folder, 'metrics.jsonl'), Math.round(lines)));
  }
  console.table(results);
} finally {
  await rm(folder, { recursive: true, force: true });
}
