/** The pictures of dashboard and report in README and docs, of made-up rollouts: `npm run build && npm run screenshots`. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import type { DecisionView } from '../src/dashboard/api.js';
import { drawCharts } from '../src/report/charts.js';
import { collectReport } from '../src/report/collect.js';
import { toHtml } from '../src/report/html.js';
import type { Annotation } from '../src/rollups/rollup.js';
import { startChromium } from '../test/helpers/browser.js';
import { longRollout } from '../test/helpers/long-rollout.js';
import { findOnPath } from '../test/helpers/on-path.js';
import { sampleRollouts } from '../test/helpers/sample-rollouts.js';
import { SampleSource, servePage } from '../test/helpers/sample-source.js';

const MOST_BYTES = 250_000;

interface Picture {
  readonly name: string;
  readonly hash: string;
  readonly width: number;
  readonly height: number;
  readonly colorScheme?: 'light' | 'dark';
  /** What is at the top of the picture; the page's beginning without it. */
  readonly from?: string;
}

const now = Date.now();
const { running, stopped, others, healthy, failing, decision, annotations } = sampleRollouts(now);
const sources = [running, stopped, ...others].map((view) => {
  const history = view === stopped ? failing : healthy;
  const all = [...history.annotations, ...annotations].sort((a, b) => a.at - b.at);
  const isOf = ({ type }: Annotation) => type !== 'decision' || view === stopped;
  return new SampleSource(view, { rollups: history.rollups, annotations: all.filter(isOf) });
});
const story: DecisionView = {
  decision,
  failures: [],
  stoppedHereAt: decision.at + 2,
  stoppedInUnleashAt: decision.at + 412,
};
sources[1]!.decided = [story];

const PICTURES: readonly Picture[] = [
  { name: 'dashboard', hash: '#/flags/async-upload', width: 1280, height: 1060 },
  { name: 'dashboard-dark', hash: '#/flags/checkout-v2', width: 1280, height: 1060, colorScheme: 'dark' },
  { name: 'dashboard-phone', hash: '#/flags/async-upload', width: 390, height: 844 },
  { name: 'dashboard-triggers', hash: '#/flags/checkout-v2', width: 1280, height: 940, from: '#triggers' },
  {
    name: 'dashboard-decision',
    hash: `#/flags/checkout-v2/decisions/${decision.id}`,
    width: 1280,
    height: 1000,
  },
  { name: 'dashboard-overview', hash: '#/', width: 1280, height: 460 },
];

async function take(browser: Browser, url: string, picture: Picture): Promise<void> {
  const { name, hash, width, height, colorScheme = 'light', from } = picture;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
    deviceScaleFactor: width < 500 ? 2 : 1,
  });
  const page = await context.newPage();
  await page.goto(`${url}?token=a-token-of-operators${hash}`);
  await page.locator('h1').waitFor();
  await page.getByText('Loading').first().waitFor({ state: 'detached' });
  // The chart is drawn in the frames after its data have come.
  await page.evaluate(
    'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))',
  );
  if (from !== undefined) {
    await page.evaluate(`scrollTo(0, document.querySelector('${from}').getBoundingClientRect().top - 20)`);
  }
  await save(page, name);
  await context.close();
}

async function takeReport(browser: Browser): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'report-'));
  try {
    const { endedAt } = await longRollout(folder, { days: 1, perSecond: 100, failingMs: 10 * 60_000 });
    const report = await collectReport([folder], { now: endedAt });
    const file = join(folder, 'report.html');
    await writeFile(file, toHtml(report, await drawCharts(report)));
    const page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
    await page.goto(pathToFileURL(file).href);
    await save(page, 'report');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function save(page: Page, name: string): Promise<void> {
  const path = fileURLToPath(new URL(`../docs/images/${name}.png`, import.meta.url));
  await page.screenshot({ path });
  const { size } = await stat(path);
  console.log(`${name}.png: ${Math.round(size / 1_000)} KB`);
  if (size > MOST_BYTES) throw new Error(`${name}.png has more than ${MOST_BYTES / 1_000} KB.`);
}

const chromium = findOnPath('chromium');
if (chromium === undefined) throw new Error('There is no chromium on the PATH: apt-get install chromium');
const served = await servePage(() => sources, { controls: { token: 'a-token-of-operators' } });
const browser = await startChromium(chromium);
try {
  for (const picture of PICTURES) await take(browser, served.url, picture);
  await takeReport(browser);
} finally {
  await browser.close();
  await served.close();
}
