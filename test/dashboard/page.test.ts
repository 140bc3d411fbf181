import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeInBrowser, seriousFindings, shownWithin } from '../helpers/browser.js';
import {
  sampleCounts,
  sampleDecision,
  sampleHistory,
  sampleVerdict,
  sampleView,
  THREE_WEEKS,
} from '../helpers/dashboard-samples.js';
import { eventually } from '../helpers/eventually.js';
import { SampleSource, type ServedPage, servePage } from '../helpers/sample-source.js';

const HOSTILE = [
  '<img src=x onerror="window.hit=1">',
  'A'.repeat(256),
  '\u202eevil.exe',
  'خطأ في الشبكة',
  '🦄'.repeat(40),
  '"><script>window.hit=1</script>',
  '{{7*7}} {a|b} %s %c',
  '__proto__',
];

const TOKEN = 'a-token-of-operators';

/** Waits until the page shows what it is about. */
async function loaded(page: Page): Promise<void> {
  await page.locator('h1').waitFor();
  await page
    .getByText(/Loading/)
    .first()
    .waitFor({ state: 'detached' });
}

describeInBrowser('the page', (open) => {
  const now = Date.now();
  const history = sampleHistory(THREE_WEEKS, now);
  const decision = sampleDecision({ at: now - 720_000 });
  const sources = new Map<string, SampleSource>();
  let served: ServedPage;
  let source: SampleSource;

  const add = (...args: ConstructorParameters<typeof SampleSource>) => {
    const added = new SampleSource(...args);
    sources.set(added.flagKey, added);
    return added;
  };

  beforeAll(async () => {
    served = await servePage(() => [...sources.values()]);
  });
  afterAll(() => served.close());
  beforeEach(() => {
    sources.clear();
    source = add(sampleView(now), history);
    const stopped = add(
      sampleView(now, {
        flagKey: 'stopped-flag',
        state: { status: 'stopped', since: now - 700_000, decision, confirmedBy: 'read-back', seenOff: true },
        flag: { enabled: false, percentage: 50 },
        stage: undefined,
        stageRemainingMs: undefined,
      }),
      history,
    );
    stopped.decided = [
      {
        decision,
        failures: [{ at: decision.at + 300, code: 'UNAVAILABLE', message: 'Unleash does not answer.' }],
        stoppedHereAt: decision.at + 2,
        stoppedInUnleashAt: decision.at + 412,
      },
    ];
  });

  const openFlag = (key = 'async-upload', options?: Parameters<typeof open>[1]) =>
    open(`${served.url}#/flags/${encodeURIComponent(key)}`, options);

  it('shows what the view says, with units and what is still needed', async () => {
    const { page, faults } = await openFlag();
    await page.getByRole('heading', { level: 1, name: 'async-upload' }).waitFor();
    expect(await page.getByTestId('percentage').innerText()).toBe('10\u00a0%');
    expect(await page.getByTestId('headline').innerText()).toContain('312 of 500 outcomes, about 40 min');
    expect(await page.getByTestId('stage').innerText()).toContain('312 of 500 outcomes');
    const arms = await page.getByTestId('arms').innerText();
    expect(arms).toMatch(/Error rate\s+0\.64\s%\s+0\.43\s%/);
    expect(arms).toMatch(/p95\s+298 ms\s+352 ms/);
    expect(await page.getByTestId('guard').innerText()).toMatch(/Admin token\s+until .* in 6[01] d/);
    for (const name of ['success-rate-below', 'failure-regression', 'memory-growth', 'latency-above']) {
      expect(await page.locator(`[data-trigger="${name}"]`).count()).toBe(1);
    }
    const row = page.locator('[data-trigger="failure-regression"]');
    expect(await row.innerText()).toMatch(/1\.5×\s+threshold 2×/);
    expect(await row.getByRole('meter').getAttribute('aria-valuenow')).toBe('31');
    expect(await page.locator('footer').innerText()).toContain('Europe/Berlin');
    expect(faults).toEqual([]);
  });

  it('shows a change within a second, in the same elements', async () => {
    const { page } = await openFlag();
    await page.getByText('312 of 500 outcomes').first().waitFor();
    source.show({
      at: Date.now(),
      flag: { enabled: true, percentage: 25 },
      arms: { ...(await source.view()).arms, treatment: { counts: sampleCounts(400, 100), errorTypes: [] } },
    });
    await shownWithin(page, 1_500, page.getByTestId('percentage').filter({ hasText: '25 %' }).waitFor());
    expect(await page.getByTestId('arms').innerText()).toMatch(/Error rate\s+20\.00\s%/);
  });

  it('zooms from three weeks to minutes with buttons, a drag and the keyboard, and back', async () => {
    const { page, faults } = await openFlag();
    const chart = page.getByRole('slider', { name: /Point in time/ });
    const range = async () => {
      const [from, to] = await Promise.all(['data-from', 'data-to'].map((name) => chart.getAttribute(name)));
      return { from: Number(from), to: Number(to), length: Number(to) - Number(from) };
    };
    await chart.waitFor();
    const whole = await range();
    expect(whole.length).toBeGreaterThan(20 * 86_400_000);
    await page.getByRole('button', { name: 'The latest 1 h' }).click();
    expect((await range()).length).toBe(3_600_000);
    await page.getByText('a point each 1 min').waitFor();
    await page.getByRole('button', { name: 'All', exact: true }).click();
    expect(await range()).toEqual(whole);

    await chart.scrollIntoViewIfNeeded();
    const box = (await chart.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.25, box.y + 120);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 160, { steps: 4 });
    await page.mouse.up();
    const dragged = await range();
    expect(dragged.from).toBeCloseTo(whole.from + whole.length / 4, -8);
    expect(dragged.length / whole.length).toBeCloseTo(0.25, 1);

    await chart.focus();
    for (let press = 0; press < 16; press++) await page.keyboard.press('+');
    expect((await range()).length).toBe(60_000);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    expect(await range()).toEqual(whole);
    expect(faults).toEqual([]);
  });

  it('shows metrics of the application by arm, in the range that is chosen', async () => {
    const { page, faults } = await openFlag();
    const metrics = page.getByRole('region', { name: 'Metrics', exact: true });
    await metrics.waitFor();
    const rows = async () => (await metrics.getByRole('row').allInnerTexts()).slice(1);
    const all = await rows();
    expect(all[0]).toMatch(
      /checkout-completed\s+share of users who did it\s+2[89]\.\d+\s%\s.*3[01]\.\d+\s%/s,
    );
    expect(all[1]).toMatch(/cart-value\s+mean of the values\s+4[67](\.\d+)?\s.*4[56](\.\d+)?\s/s);
    expect(await metrics.locator('canvas').count()).toBe(2);
    await page.getByRole('button', { name: 'The latest 1 h' }).click();
    await eventually(async () => expect(await rows()).not.toEqual(all));
    expect(faults).toEqual([]);
  });

  it('says the numbers of each point to the keyboard', async () => {
    const { page } = await openFlag();
    const chart = page.getByRole('slider', { name: /Point in time/ });
    await chart.focus();
    await page.keyboard.press('End');
    const point = () => chart.getAttribute('aria-valuetext');
    // Of the last hour, as far as it has come: the rates are those of a sample.
    const last = await eventually(async () => {
      const text = await point();
      expect(text).toMatch(
        /treatment (0\.9|1\.0)\d\s% errors, p95 \d+ ms; control 0\.[34]\d\s% errors, p95 \d+ ms/,
      );
      return text;
    });
    await page.keyboard.press('ArrowLeft');
    await eventually(async () => expect(await point()).not.toBe(last));
    await page.getByText('The chart as a table').click();
    expect(
      await page
        .getByRole('table', { name: /Points of the chart/ })
        .getByRole('row')
        .count(),
    ).toBeGreaterThan(20);
  });

  it('leads from the stop to its decision, which has an address of its own', async () => {
    const { page, faults } = await openFlag('stopped-flag');
    expect(await page.getByTestId('headline').innerText()).toMatch(/^Stopped.*6\.1 % of 10,000 outcomes/s);
    await page.getByRole('link', { name: 'Why: the decision' }).click();
    await page.getByRole('heading', { level: 1, name: /^Why/ }).waitFor();
    expect(page.url()).toContain(`#/flags/stopped-flag/decisions/${decision.id}`);
    expect(await page.getByTestId('arms').innerText()).toMatch(/Error rate\s+6\.10\s%\s+0\.40\s%/);
    expect(await page.locator('main').innerText()).toContain('Unleash does not answer.');
    const again = await open(page.url());
    await again.page.getByRole('heading', { level: 1, name: /^Why/ }).waitFor();
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: 'stopped-flag' }).waitFor();
    expect(faults).toEqual([]);
  });

  it.each([
    ['#/flags/none', /No guard of this dashboard guards a flag of this name/],
    ['#/flags/stopped-flag/decisions/none', /This decision is gone/],
    ['#/nothing/here', /There is no such page/],
  ])('says at %s what is missing', async (hash, expected) => {
    const { page } = await open(`${served.url}${hash}`);
    await page.getByText(expected).waitFor();
    expect(await page.locator('h1').count()).toBe(1);
  });

  it.each([
    ['no data', { arms: emptyArms() }, /Waiting for data/],
    ['a flag that is off', { flag: { enabled: false } }, /The flag is off in Unleash/],
    ['no flag', { flag: undefined }, /Unleash has no such flag/],
    ['a closed guard', { isClosed: true }, /The guard is closed/],
    ['a dry run', { dryRun: true }, /changes nothing in Unleash/],
    [
      'a blind guard',
      {
        health: {
          status: 'blind' as const,
          since: now,
          reasons: [{ code: 'stale-flags', message: 'No flags for 90 s: check the network.', since: now }],
        },
      },
      /No flags for 90 s: check the network/,
    ],
    [
      'a stop that Unleash has not confirmed',
      { state: { status: 'stopping' as const, since: now, decision } },
      /The guard is turning it off/,
    ],
  ])('is clear about %s', async (_, change, expected) => {
    source.show(change);
    source.past = { rollups: [], annotations: [] };
    const { page, faults } = await openFlag();
    await page.getByText(expected).first().waitFor();
    await page.getByText('No data yet').waitFor();
    expect(faults).toEqual([]);
  });

  it('is clear about a single minute of data, which is the shortest range', async () => {
    const begun = Math.floor(now / 60_000) * 60_000 - 1_000;
    source.past = sampleHistory([{ ...THREE_WEEKS[1]!, lengthMs: 30_000 }], begun);
    source.past = { ...source.past, rollups: source.past.rollups.slice(-1) };
    const { page, faults } = await openFlag();
    const chart = page.getByRole('slider', { name: /Point in time/ });
    await chart.waitFor();
    const [from, to] = await Promise.all(['data-from', 'data-to'].map((name) => chart.getAttribute(name)));
    expect(Number(to) - Number(from)).toBeGreaterThanOrEqual(60_000);
    expect(await page.getByRole('button', { name: 'Zoom out' }).isDisabled()).toBe(true);
    const readout = page.getByRole('region', { name: 'The numbers of one point' });
    expect(await readout.innerText()).toMatch(/treatment\s+[\d.]+\s%/);
    expect(faults).toEqual([]);
  });

  it('shows the whole label of a step that was made a moment ago', async () => {
    const step = { ...THREE_WEEKS[3]!, lengthMs: 60_000 };
    source.past = sampleHistory([THREE_WEEKS[0]!, step], Math.ceil(now / 3_600_000) * 3_600_000);
    const { page } = await openFlag();
    const label = page.locator('.marks .step', { hasText: '50 %' });
    await label.waitFor();
    const [inner, outer] = await Promise.all(
      [label, page.locator('.marks')].map((each) => each.boundingBox()),
    );
    expect(inner!.x + inner!.width).toBeLessThanOrEqual(outer!.x + outer!.width);
  });

  it('shows what a stop was decided on, once its epoch is over', async () => {
    sources.get('stopped-flag')!.show({ at: now + 1, arms: emptyArms() });
    const { page } = await openFlag('stopped-flag');
    await page.getByRole('heading', { name: 'Both arms when it was decided' }).waitFor();
    expect(await page.getByTestId('arms').innerText()).toMatch(/Error rate\s+6\.10\s%\s+0\.40\s%/);
  });

  it('shows hostile names and texts as text, everywhere', async () => {
    for (const [index, text] of HOSTILE.entries()) {
      const verdict = sampleVerdict({ trigger: text, message: text, status: 'breach' });
      const share = { count: 1, of: 2 };
      const failing = [{ attribute: text, value: text, treatment: share, control: share, others: share }];
      const bad = sampleDecision({
        id: text,
        flagKey: text,
        reason: text,
        verdicts: [{ ...verdict, failing }],
      });
      const hostile = add(
        sampleView(now, {
          flagKey: `${text}-${index}`,
          project: text,
          environment: text,
          flagUrl: `javascript:window.hit=1//${index}`,
          state: { status: 'stopped', since: now, decision: bad, confirmedBy: 'read-back', seenOff: true },
          health: { status: 'blind', since: now, reasons: [{ code: text, message: text, since: now }] },
          triggers: [{ name: text, severity: 'rollback', verdict, since: now }],
          failing,
          openReviews: [{ trigger: text, openedAt: now, verdict }],
          controls: {
            hold: { since: now, by: text, reason: text },
            mutes: [{ trigger: text, since: now, until: now + 60_000, by: text, reason: text }],
          },
          arms: {
            treatment: { counts: sampleCounts(1, 1), errorTypes: [{ errorType: text, count: 1 }] },
            control: { counts: sampleCounts(1, 0), errorTypes: [] },
          },
          fleet: {
            processes: [
              {
                instance: text,
                role: 'leader',
                version: text,
                serviceVersion: text,
                sameRules: true,
                lastHeardAt: now,
              },
            ],
            groups: [{ version: text, serviceVersion: text, sameRules: true, processes: 1 }],
          },
          serviceVersion: text,
        }),
        {
          ...sampleHistory([{ ...THREE_WEEKS[0]!, lengthMs: 3_600_000 }], now),
          annotations: [
            { at: now - 60_000, type: 'decision', title: text, text, by: text, decisionId: text },
          ],
        },
      );
      hostile.decided = [{ decision: bad, failures: [], turnedOffBy: text, actionRequired: text }];
    }
    const { page, faults, visit } = await open(served.url, { viewport: { width: 390, height: 844 } });
    for (const [index, text] of HOSTILE.entries()) {
      const key = encodeURIComponent(`${text}-${index}`);
      for (const hash of [
        `#/flags/${key}`,
        `#/flags/${key}/decisions/${encodeURIComponent(text)}`,
        ...(index === 0 ? ['#/'] : []),
      ]) {
        await visit(`${served.url}${hash}`);
        await loaded(page);
        expect(await page.evaluate('window.hit')).toBeUndefined();
        expect(await page.locator('main :is(img, script, iframe)').count()).toBe(0);
        expect(await page.locator('a[href^="javascript"]').count()).toBe(0);
        const part = [...text].slice(0, 20).join('');
        expect(await page.locator('main').textContent()).toContain(part);
        expect(await sidewaysPixels(page)).toBeLessThanOrEqual(0);
        expect(faults).toEqual([]);
      }
    }
  });

  it('fits a phone without scrolling sideways, in every state', async () => {
    const { page, visit } = await open(served.url, {
      viewport: { width: 390, height: 844 },
      hasTouch: true,
    });
    for (const hash of [
      '#/',
      '#/flags/async-upload',
      '#/flags/stopped-flag',
      `#/flags/stopped-flag/decisions/${decision.id}`,
    ]) {
      await visit(`${served.url}${hash}`);
      await loaded(page);
      expect([hash, await sidewaysPixels(page)]).toEqual([hash, 0]);
    }
  });

  it.each(['light', 'dark'] as const)(
    'has no serious accessibility finding on any route, %s',
    async (colorScheme) => {
      source.show({
        openReviews: [
          { trigger: 'latency-above', openedAt: now, verdict: sampleVerdict({ status: 'breach' }) },
        ],
        controls: {
          hold: { since: now, by: 'ada', reason: 'holidays' },
          mutes: [{ trigger: 'memory-growth', since: now, until: now + 60_000, by: 'ada', reason: 'known' }],
        },
        dryRun: true,
      });
      const { page, visit } = await open(served.url, { colorScheme });
      for (const hash of [
        '#/',
        '#/flags/async-upload',
        '#/flags/stopped-flag',
        `#/flags/stopped-flag/decisions/${decision.id}`,
        '#/flags/none',
      ]) {
        await visit(`${served.url}${hash}`);
        await loaded(page);
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 900 });
          expect([hash, width, await seriousFindings(page)]).toEqual([hash, width, []]);
        }
      }
    },
  );

  it('reaches everything with the keyboard, and shows where the focus is', async () => {
    const { page } = await openFlag('stopped-flag');
    await page.getByRole('link', { name: 'Why: the decision' }).waitFor();
    await page.keyboard.press('Tab');
    expect(await focused(page)).toMatchObject({ name: 'Skip to content', isVisible: true });
    const reached: string[] = [];
    for (let press = 0; press < 60; press++) {
      await page.keyboard.press('Tab');
      const { name, isVisible, outline } = await focused(page);
      if (name === '') break;
      expect([name, isVisible, outline]).toEqual([name, true, 'solid']);
      reached.push(name);
    }
    for (const name of [
      'Rollouts',
      'Open in Unleash',
      'Why: the decision',
      'The latest 24 h',
      'p95',
      'Figures',
    ]) {
      expect(reached.some((each) => each.includes(name))).toBe(true);
    }
    expect(reached.some((each) => each.startsWith('Point in time'))).toBe(true);
  });

  it('says that the connection is lost, and catches up when it is back', async () => {
    const { page } = await openFlag();
    await page.getByText('Live').waitFor();
    await served.pause();
    await page.getByText(/Connection lost, last update/).waitFor();
    source.show({ at: Date.now(), flag: { enabled: true, percentage: 50 } });
    await served.resume();
    await page.getByTestId('percentage').filter({ hasText: '50 %' }).waitFor();
    await page.getByText('Live').waitFor();
  });

  it('finds one of 200 flags, those that need an operator first', async () => {
    for (let index = 0; index < 200; index++) {
      add(sampleView(now, { flagKey: `flag-${index}`, isClosed: index === 150 }));
    }
    const { page, faults } = await open(served.url);
    const names = page.locator('tbody th a');
    await names.first().waitFor();
    // The first hundred: a browser needs a second for a thousand.
    expect(await names.count()).toBe(100);
    await page.getByRole('button', { name: 'show 100 more' }).click();
    await eventually(async () => expect(await names.count()).toBe(200));
    expect((await names.allInnerTexts()).slice(0, 2)).toEqual(['stopped-flag', 'flag-150']);
    await page.getByLabel('Find a flag').fill('flag-19');
    await eventually(async () => expect(await names.count()).toBe(11));
    await page.getByRole('link', { name: 'flag-199' }).click();
    await page.getByRole('heading', { level: 1, name: 'flag-199' }).waitFor();
    expect(faults).toEqual([]);
  });

  it('keeps no more elements and no more memory after many updates', async () => {
    const { page } = await openFlag();
    await page.getByRole('slider').waitFor();
    await page.getByText('None: the guard has not stopped').waitFor();
    const elements = () => page.evaluate<number>('document.querySelectorAll("*").length');
    const before = await elements();
    for (let update = 1; update <= 5; update++) {
      source.show({ at: now + update, stage: { ...(await source.view()).stage!, outcomes: 312 + update } });
      await page
        .getByText(`${312 + update} of 500 outcomes`)
        .first()
        .waitFor();
    }
    expect(await elements()).toBeLessThanOrEqual(before + 5);
    // The rollout's, and one for each metric.
    expect(await page.locator('canvas').count()).toBe(3);
  });

  it('says in words what changes, for those who do not see it', async () => {
    const { page } = await openFlag();
    await page.getByText('312 of 500 outcomes').first().waitFor();
    source.show({ at: Date.now(), state: { status: 'stopping', since: now, decision } });
    await page
      .locator('[role=status]')
      .filter({ hasText: 'async-upload: Stopping' })
      .waitFor({ state: 'attached' });
  });

  it('has no controls for those without rights', async () => {
    const { page } = await openFlag();
    await page.locator('[data-trigger]').first().waitFor();
    expect(await page.getByRole('button', { name: /Stop|Hold|Advance|Mute|Acknowledge/ }).count()).toBe(0);
  });

  const inDark = { colorScheme: 'dark' as const };
  it('is dark where the reader wants it', async () => {
    const { page } = await openFlag('async-upload', inDark);
    await page.locator('h1').waitFor();
    const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    expect(background.match(/\d+/g)!.every((part) => Number(part) < 40)).toBe(true);
  });
});

describeInBrowser('the controls', (open) => {
  const now = Date.now();
  let source: SampleSource;
  let served: ServedPage;

  beforeEach(async () => {
    source = new SampleSource(
      sampleView(now, {
        openReviews: [
          { trigger: 'latency-above', openedAt: now, verdict: sampleVerdict({ status: 'breach' }) },
        ],
      }),
    );
    served = await servePage(() => [source], { controls: { token: TOKEN, by: 'ada' } });
  });
  afterEach(() => served.close());

  const openFlag = async () => {
    const tab = await open(`${served.url}?token=${TOKEN}#/flags/async-upload`);
    await tab.page.locator('[data-trigger]').first().waitFor();
    return tab;
  };

  it('are there only after signing in, and the token stays in no address', async () => {
    const reader = await open(`${served.url}#/flags/async-upload`);
    await reader.page.locator('[data-trigger]').first().waitFor();
    expect(await reader.page.getByRole('button', { name: 'Stop…' }).count()).toBe(0);
    const { page } = await openFlag();
    expect(await page.getByRole('button', { name: 'Stop…' }).count()).toBe(1);
    expect(page.url()).not.toContain(TOKEN);
  });

  it('stop with a reason, after a question, and show the reply', async () => {
    const { page, faults } = await openFlag();
    await page.getByRole('button', { name: 'Stop…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Stop async-upload?' });
    const confirm = dialog.getByRole('button', { name: 'Stop the flag' });
    expect(await confirm.isDisabled()).toBe(true);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect(await focused(page)).toMatchObject({ name: 'Stop…' });
    await page.getByRole('button', { name: 'Stop…' }).click();
    await dialog.getByLabel(/Reason/).fill('Customers report lost files');
    expect(await seriousFindings(page)).toEqual([]);
    await confirm.click();
    await page.getByTestId('reply').filter({ hasText: 'Done: stop.' }).waitFor();
    expect(source.asked).toEqual([{ type: 'stop', by: 'ada', reason: 'Customers report lost files' }]);
    expect(faults).toEqual([]);
  });

  it('ask again before an advance is forced', async () => {
    source.reply = (control) =>
      control.type === 'advance' && control.force
        ? { accepted: true, message: 'Moved to 50 %.' }
        : { accepted: false, message: 'The stage is not met: 188 more outcomes.' };
    const { page } = await openFlag();
    await page.getByRole('button', { name: 'Advance…' }).click();
    await page.getByRole('button', { name: 'Advance to 50 %' }).click();
    await page.getByText('188 more outcomes.').first().waitFor();
    const force = page.getByRole('button', { name: 'Advance all the same' });
    expect(await force.isDisabled()).toBe(true);
    await page
      .getByRole('dialog')
      .getByLabel(/Reason/)
      .fill('Low traffic');
    await force.click();
    await page.getByTestId('reply').filter({ hasText: 'Moved to 50 %.' }).waitFor();
    expect(source.asked.map(({ type, ...rest }) => [type, rest])).toEqual([
      ['advance', { by: 'ada' }],
      ['advance', { by: 'ada', force: true, reason: 'Low traffic' }],
    ]);
  });

  it('mute and unmute a trigger, acknowledge a review, hold and resume', async () => {
    const { page } = await openFlag();
    const answer = async (button: string, reason: string | undefined, confirm: string) => {
      await page.getByRole('button', { name: button, exact: true }).click();
      if (reason !== undefined)
        await page
          .getByRole('dialog')
          .getByLabel(/Reason/)
          .fill(reason);
      await page.getByRole('dialog').getByRole('button', { name: confirm, exact: true }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    };
    await page.getByRole('button', { name: 'Mute memory-growth' }).click();
    await page.getByRole('dialog').getByLabel('For').selectOption('4 hours');
    await page.keyboard.press('Escape');
    await answer('Mute memory-growth', 'known leak', 'Mute');
    source.show({
      at: now + 1,
      controls: {
        hold: { since: now, by: 'ada', reason: 'holidays' },
        mutes: [
          { trigger: 'memory-growth', since: now, until: now + 3_600_000, by: 'ada', reason: 'known leak' },
        ],
      },
    });
    await page.getByText('Muted until').waitFor();
    await answer('Unmute memory-growth', undefined, 'Unmute');
    await answer('Acknowledge latency-above', 'checked', 'Acknowledge');
    await answer('Resume…', undefined, 'Resume');
    source.show({ at: now + 2, controls: { mutes: [] } });
    await answer('Hold…', 'holidays', 'Hold');
    expect(source.asked).toEqual([
      { type: 'mute', trigger: 'memory-growth', forMs: 3_600_000, reason: 'known leak', by: 'ada' },
      { type: 'unmute', trigger: 'memory-growth', by: 'ada' },
      { type: 'acknowledge', trigger: 'latency-above', reason: 'checked', by: 'ada' },
      { type: 'resume', by: 'ada' },
      { type: 'hold', reason: 'holidays', by: 'ada' },
    ]);
  });

  it('show why one failed', async () => {
    source.control = () => Promise.reject(new Error('Redis does not reply.'));
    const { page } = await openFlag();
    await page.getByRole('button', { name: 'Hold…' }).click();
    await page
      .getByRole('dialog')
      .getByLabel(/Reason/)
      .fill('x');
    await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
    await page.getByRole('alert').filter({ hasText: 'Redis does not reply.' }).waitFor();
  });
});

function emptyArms() {
  const arm = { counts: sampleCounts(0, 0), errorTypes: [] };
  return { treatment: arm, control: arm };
}

type Page = Awaited<ReturnType<Parameters<Parameters<typeof describeInBrowser>[1]>[0]>>['page'];

function sidewaysPixels(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

/** The element that has the focus: its name, whether it can be seen, and its outline. */
function focused(page: Page): Promise<{ name: string; isVisible: boolean; outline: string }> {
  return page.evaluate(`(() => {
    const element = document.activeElement;
    if (element === document.body) return { name: '', isVisible: false, outline: '' };
    const box = element.getBoundingClientRect();
    const name = element.getAttribute('aria-label') ?? element.textContent.trim();
    return { name, isVisible: box.width > 0 && box.bottom > 0, outline: getComputedStyle(element).outlineStyle };
  })()`);
}
