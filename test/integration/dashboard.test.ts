import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorRateAbove, type GuardEvent, latencyAbove } from 'unleash-rollout-guard';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeInBrowser, seriousFindings, shownWithin } from '../helpers/browser.js';
import { eventually } from '../helpers/eventually.js';
import { type GuardedService, startGuardedService } from '../helpers/guarded-service.js';
import { type ServedPage, servePage } from '../helpers/sample-source.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const TOKEN = 'a-token-of-operators';
const down = Object.assign(new Error('the new path is down'), { code: 'ECONNRESET' });

describeInBrowser('the dashboard of a live guard on a real Unleash', (open) => {
  let unleash: SharedUnleash;
  let folder: string;
  let flagKey: string;
  let flagNumber = 0;
  let service: GuardedService;
  let served: ServedPage;

  beforeAll(async () => {
    unleash = await sharedUnleash();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dashboard-'));
    flagKey = `dashboard-upload-${++flagNumber}`;
    await unleash.createFlag(flagKey, { percentage: 50 });
    service = await startGuardedService(unleash, flagKey, folder, {
      rollback: [errorRateAbove(0.3, { minOutcomes: 200 })],
      review: [latencyAbove(10_000)],
      stages: [
        { percentage: 50, minOutcomes: 5_000, minSuccessRate: 0.9 },
        { percentage: 100, minOutcomes: 10_000, minSuccessRate: 0.9 },
      ],
    });
    served = await servePage(() => [service.guard.rolloutSource], { controls: { token: TOKEN, by: 'ada' } });
  });
  afterEach(async () => {
    await served.close();
    await service.close();
    await rm(folder, { recursive: true, force: true });
  });

  const has = (type: GuardEvent['type']) => service.events.some((event) => event.type === type);
  const openFlag = (token = '') => open(`${served.url}${token}#/flags/${flagKey}`);

  it("shows the guard's own numbers, and new ones within a second", async () => {
    await service.serve(200, (user) => (user % 20 === 0 ? down : undefined));
    const { page, faults } = await openFlag();
    const arms = page.getByTestId('arms');
    const shows = async () => {
      const { treatment, control } = service.guard.status().snapshot.total;
      const outcomes = [treatment, control].map(({ successes, failures }) => successes + failures);
      const rate = ((100 * treatment.failures) / outcomes[0]!).toFixed(2);
      await arms.filter({ hasText: new RegExp(`Outcomes\\s*${outcomes.join('\\s*')}`) }).waitFor();
      await arms.filter({ hasText: `${rate} %` }).waitFor();
      await page.getByText(`${outcomes[0]} of 5,000 outcomes`).first().waitFor();
      return outcomes;
    };
    expect(await page.getByTestId('percentage').innerText()).toBe('50\u00a0%');
    const before = await shows();
    await service.serve(100, () => undefined);
    const shown = shows();
    await shownWithin(page, 2_000, shown);
    const after = await shown;
    expect(after[0]! + after[1]!).toBe(before[0]! + before[1]! + 100);
    await page.getByText('ECONNRESET').first().waitFor();
    await page.locator('[data-trigger="error-rate-above"]').waitFor();
    await page.getByRole('slider').waitFor();
    const readout = await page.getByRole('region', { name: 'The numbers of one point' }).innerText();
    expect(readout).toContain('at 50\u00a0%');
    expect(faults).toEqual([]);
  });

  it('shows a stop as it happens, and why, at the address of the decision', async () => {
    const { page, faults } = await openFlag();
    await page
      .getByTestId('headline')
      .filter({ hasText: /^Waiting for data|^Running/ })
      .waitFor();
    await service.serve(800, () => down);
    await eventually(() => expect(has('stopped')).toBe(true));
    await page
      .getByTestId('headline')
      .filter({ hasText: /^Stopped/ })
      .waitFor();
    await page.getByTestId('percentage').filter({ hasText: 'off' }).waitFor();
    await page.getByRole('link', { name: 'Why: the decision' }).click();
    await page.getByText('Off in Unleash, and read back').waitFor();
    const decided = service.events.find((event) => event.type === 'decided');
    expect(page.url()).toContain(`/decisions/${decided?.decision.id}`);
    await page.getByText(decided!.decision.reason).first().waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('stops the flag for an operator who may, and for no other reader', async () => {
    const reader = await openFlag();
    await reader.page.locator('[data-trigger]').first().waitFor();
    expect(await reader.page.getByRole('button', { name: 'Stop…' }).count()).toBe(0);
    const { page, faults } = await openFlag(`?token=${TOKEN}`);
    await page.getByRole('button', { name: 'Stop…' }).click();
    await page
      .getByRole('dialog')
      .getByLabel(/Reason/)
      .fill('Customers report lost files');
    await page.getByRole('button', { name: 'Stop the flag' }).click();
    await eventually(async () => expect((await unleash.flag(flagKey)).enabled).toBe(false), 100);
    await reader.page.getByTestId('headline').filter({ hasText: 'Customers report lost files' }).waitFor();
    await page.getByTestId('reply').filter({ hasText: /./ }).waitFor();
    expect(await service.isOn('user-1')).toBe(false);
    expect(faults).toEqual([]);
  });
});
