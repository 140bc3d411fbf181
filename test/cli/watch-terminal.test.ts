import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { widthOf } from '../../src/report/terminal/text.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile } from '../helpers/test-run.js';
import { Tmux } from '../helpers/tmux.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ESCAPE = '\u001b';
/** The screen as it was, where the shell reads again: what is typed earlier may go to the command that ends. */
const PROMPT = /^before\n[#$]$/;

describeWithBinary('rollout-guard watch in a terminal', 'tmux', 'apt-get install tmux', (tmux) => {
  let terminal: Tmux;
  /** What is on the screen: `watch` has one of its own. */
  const lines = (...args: string[]) =>
    terminal
      .run('capture-pane', '-p', ...args)
      .trimEnd()
      .split('\n');
  const shows = (text: string | RegExp) => eventually(() => expect(lines().join('\n')).toMatch(text), 100);

  let harness: GuardHarness;
  let main: string;

  beforeAll(async () => {
    main = await compiledFile('dist/cli.js');
  });
  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(async () => {
    await harness.close();
  });

  async function watch(columns: number, rows: number, env = ''): Promise<void> {
    terminal = new Tmux(tmux, { columns, rows, folder: ROOT });
    terminal.type(`clear; echo before; ${env} '${process.execPath}' '${main}' watch '${harness.folder}'`);
  }

  async function guardWithOutcomes() {
    const guard = await harness.started({
      stages: [{ percentage: 10, minOutcomes: 500, minSuccessRate: 0.9 }],
    });
    const upload = guard.operation({ treatment: () => 'new', control: () => 'old', retries: 0 });
    for (let user = 0; user < 30; user++) await upload({ targetingKey: `user-${user}` }, undefined);
    await harness.fail(guard, 1);
    return guard;
  }

  it('shows the rollout of a running guard, keeps up with it, and leaves the terminal as it was', async () => {
    const guard = await guardWithOutcomes();
    await watch(100, 30);
    await shows(/● async-upload {2}armed at 10 %/);
    await shows(/31 of 500 outcomes/);
    await shows(/success-rate-below .*ok: 96\.8 %/);
    await shows(/treatment +[ ▁▂▃▄▅▆▇█]+ 3\.2\d % of 31/);
    await eventually(() => expect(lines('-e').join('\n')).toContain(`${ESCAPE}[32m`));
    await harness.fail(guard, 40);
    await shows(/● async-upload {2}stopped/);
    await shows(/below 95 %/);
    terminal.press('q');
    await shows(PROMPT);
    terminal.type('echo after');
    await shows(/^after$/m);
  });

  it('is laid out anew when the terminal is resized, down to 40 columns and a few rows', async () => {
    await guardWithOutcomes();
    await watch(120, 30);
    await shows(/31 of 500 outcomes/);
    for (const [columns, rows] of [
      [40, 24],
      [60, 8],
      [40, 4],
      [200, 50],
    ] as const) {
      terminal.run('resize-window', '-x', String(columns), '-y', String(rows));
      await eventually(() => {
        const shown = lines();
        expect(shown[0]).toContain('● async-upload');
        expect(shown.at(-1)).toContain('q quits');
        expect(shown.length).toBeLessThanOrEqual(rows);
        for (const line of shown) expect(widthOf(line)).toBeLessThanOrEqual(columns);
      }, 100);
    }
  });

  it.each([
    ['Ctrl-C', () => terminal.press('C-c')],
    [
      'SIGTERM',
      () => {
        const [pid] = terminal.run('display-message', '-p', '#{pane_pid}').trim().split('\n');
        const child = execFileSync('ps', ['-o', 'pid=', '--ppid', pid!], { encoding: 'utf8' })
          .trim()
          .split('\n')[0];
        process.kill(Number(child), 'SIGTERM');
      },
    ],
  ])('ends on %s, with the terminal as it was, and has no colours with NO_COLOR', async (_how, end) => {
    await guardWithOutcomes();
    await watch(80, 24, 'NO_COLOR=1');
    await shows(/31 of 500 outcomes/);
    expect(lines('-e').join('\n')).not.toContain(ESCAPE);
    end();
    await shows(PROMPT);
    terminal.type('echo status $?');
    await shows(/status 0$/m);
  });
});
