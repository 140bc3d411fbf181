import { mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AUDIT_FILE, AuditLog } from '../../src/journal/audit-log.js';
import { readAuditLog } from '../../src/journal/audit-reader.js';

let folder: string;
let gone: number;
let faults: unknown[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-log-'));
  gone = 0;
  faults = [];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const listener = {
  onGone: () => {
    gone += 1;
  },
  onFault: (error: unknown) => faults.push(error),
};

async function timesIn(): Promise<number[]> {
  const times: number[] = [];
  const onProblem = (problem: unknown) => {
    throw new Error(JSON.stringify(problem));
  };
  for await (const { at } of readAuditLog(join(folder, AUDIT_FILE), onProblem)) times.push(at);
  return times;
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('AuditLog', () => {
  it('sets full files aside, keeps so many, and is read as one', async () => {
    const rotation = { maxFileBytes: 4_000, maxFiles: 3 };
    const log = new AuditLog(folder, 'async-upload', listener, rotation);
    for (const at of upTo(200)) {
      log.append({ type: 'closed', at });
      await log.flushed();
    }
    await log.close();
    const names = await readdir(folder);
    expect(names).toHaveLength(3);
    for (const name of names) expect((await stat(join(folder, name))).size).toBeLessThanOrEqual(4_000);
    const times = await timesIn();
    expect(times.length).toBeGreaterThan(60);
    expect(times).toEqual(upTo(200).slice(-times.length));
  });

  it('notices that its file was moved away, and loses nothing', async () => {
    const log = new AuditLog(folder, 'async-upload', listener);
    log.append({ type: 'closed', at: 0 });
    await log.flushed();
    await rename(join(folder, AUDIT_FILE), join(folder, 'audit.000001.jsonl'));
    log.append({ type: 'closed', at: 1 });
    await log.close();
    expect(await timesIn()).toEqual([0, 1]);
    expect([gone, faults]).toEqual([1, []]);
  });

  it('cuts off half a line of a crash, so that the next one can be read', async () => {
    await writeFile(join(folder, AUDIT_FILE), '{"type":"closed","at":0}\n{"type":"clos');
    const log = new AuditLog(folder, 'async-upload', listener);
    log.append({ type: 'closed', at: 1 });
    await log.close();
    expect(await timesIn()).toEqual([0, 1]);
  });

  it.runIf(process.platform === 'linux')(
    'keeps what a full disk refused, and writes it when asked again',
    async () => {
      await symlink('/dev/full', join(folder, AUDIT_FILE));
      const log = new AuditLog(folder, 'async-upload', listener);
      log.append({ type: 'closed', at: 0 });
      await log.flushed();
      expect(faults).toHaveLength(1);
      await rm(join(folder, AUDIT_FILE));
      void log.upkeep();
      await log.close();
      expect(await timesIn()).toEqual([0]);
    },
  );

  it('writes what is reported after its end', async () => {
    const log = new AuditLog(folder, 'async-upload', listener);
    await log.close();
    log.append({ type: 'closed', at: 0 });
    await log.flushed();
    expect(await timesIn()).toEqual([0]);
  });
});
