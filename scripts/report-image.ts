/**
 * Makes `docs/images/report.png`: the report of a made-up rollout of three weeks, as Chromium shows it.
 * Run with `npx tsx scripts/report-image.ts`; needs Debian's chromium, or its path in CHROMIUM.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { drawCharts } from '../src/report/charts.js';
import { collectReport } from '../src/report/collect.js';
import { toHtml } from '../src/report/html.js';
import { longRollout } from '../test/helpers/long-rollout.js';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const folder = await mkdtemp(join(tmpdir(), 'report-image-'));
try {
  const { endedAt } = await longRollout(folder, { days: 21, perSecond: 50 });
  const report = await collectReport([folder], { now: endedAt });
  const page = join(folder, 'report.html');
  await writeFile(page, toHtml(report, await drawCharts(report)));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ARGS,
  });
  try {
    const [path = resolve('docs/images/report.png'), width = '1000', height = '900', scheme = 'light'] =
      process.argv.slice(2);
    const tab = await browser.newPage({
      viewport: { width: Number(width), height: Number(height) },
      colorScheme: scheme === 'dark' ? 'dark' : 'light',
    });
    await tab.goto(pathToFileURL(page).href);
    await tab.screenshot({ path, fullPage: height === '0' });
    process.stdout.write(`${path}\n`);
  } finally {
    await browser.close();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
