import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OutcomeRow } from '../../src/log/log-row-schema.js';
import { type LogProblem, readOutcomeLog } from '../../src/log/read-log.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outcome-log-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const line = (facts: Record<string, unknown> = {}) =>
  JSON.stringify({
    timestamp: '2025-01-01T00:00:00.000Z',
    flag_key: 'async-upload',
    arm: 'treatment',
    success: true,
    ...facts,
  });

async function read(path = folder): Promise<{ rows: OutcomeRow[]; problems: LogProblem[] }> {
  const rows: OutcomeRow[] = [];
  const problems: LogProblem[] = [];
  for await (const row of readOutcomeLog(path, { onProblem: (problem) => problems.push(problem) })) {
    rows.push(row);
  }
  return { rows, problems };
}

const write = (name: string, text: string) => writeFile(join(folder, name), text);

describe('readOutcomeLog', () => {
  it('reads the rotated files first, the oldest before the newer ones', async () => {
    await write('metrics.jsonl', `${line({ request_id: 'd' })}\n`);
    await write('metrics.000010.jsonl', `${line({ request_id: 'c' })}\n`);
    await write('metrics.000002.jsonl', `${line({ request_id: 'a' })}\n${line({ request_id: 'b' })}\n`);
    await write('metrics.csv', 'not for it');
    await write('metrics.backup.jsonl', 'nor this');
    const { rows, problems } = await read();
    expect(rows.map(({ request_id }) => request_id)).toEqual(['a', 'b', 'c', 'd']);
    expect(problems).toEqual([]);
  });

  it('completes a line that names only what must be named', async () => {
    await write('own.jsonl', line({ success: false, fallback_used: true }));
    const { rows } = await read(join(folder, 'own.jsonl'));
    expect(rows).toMatchObject([
      {
        execution_type: 'treatment',
        result: 'failure',
        user_succeeded: true,
        attempts: 1,
        epoch: 1,
        user: null,
      },
    ]);
  });

  it.each([
    ['a foreign line', 'Listening on port 3000'],
    ['half a line', line().slice(0, 30)],
    ['JSON that is no object', '17'],
    ['another program’s JSON', '{"level":30,"msg":"hello"}'],
    ['a text for a number', line({ duration_ms: '12' })],
    ['an arm that there is not', line({ arm: 'blue' })],
    ['an invalid time', line({ timestamp: 'yesterday' })],
    ['a success that the result denies', line({ result: 'failure' })],
    ['a percentage above 100', line({ percentage: 101 })],
    ['attributes within attributes', line({ attributes: { deep: {} } })],
    ['bytes that are no text', '\u0000\u0001\ufffd'],
  ])('leaves out %s, says where, and uses the rest', async (_what, bad) => {
    await write('metrics.jsonl', `${line()}\n\n${bad}\n${line()}\n`);
    const { rows, problems } = await read();
    expect(rows).toHaveLength(2);
    expect(problems).toMatchObject([{ file: join(folder, 'metrics.jsonl'), line: 3, used: false }]);
    expect(problems[0]?.reason).not.toBe('');
  });

  it('reports a time that goes back, and uses the line', async () => {
    const times = ['00:00:02.000Z', '00:00:01.000Z', '00:00:02.000Z', '01:00:02.000+01:00'];
    await write(
      'metrics.jsonl',
      times.map((time) => `${line({ timestamp: `2025-01-01T${time}` })}\n`).join(''),
    );
    const { rows, problems } = await read();
    expect(rows).toHaveLength(4);
    expect(problems).toMatchObject([{ line: 2, used: true }]);
  });

  it('reads a file of 0 bytes as empty', async () => {
    await write('metrics.jsonl', '');
    expect(await read()).toEqual({ rows: [], problems: [] });
  });

  it('reads a last line without its end, and lines that end as on Windows', async () => {
    await write('metrics.jsonl', `${line()}\r\n${line()}`);
    expect((await read()).rows).toHaveLength(2);
  });

  it('joins lines that two reads cut apart, in any alphabet, and passes over one without end', async () => {
    const provider = 'ünïcödé 漢字 🚀 '.repeat(60);
    const lines = Array.from({ length: 1_000 }, (_, index) => line({ provider, epoch: index }));
    lines.splice(500, 0, 'x'.repeat(3_000_000));
    await write('metrics.jsonl', `${lines.join('\n')}\n`);
    const { rows, problems } = await read();
    expect(rows.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    expect(rows.every((row) => row.provider === provider)).toBe(true);
    expect(problems).toMatchObject([{ line: 501, used: false }]);
  });

  it('reads a file of empty lines', async () => {
    await write('metrics.jsonl', `${'\n'.repeat(500_000)}${line()}\n`);
    expect((await read()).rows).toHaveLength(1);
  });

  it('fails when there is no log', async () => {
    await expect(read(join(folder, 'none'))).rejects.toThrow('ENOENT');
  });
});
