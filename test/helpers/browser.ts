import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { needsBinary } from './needs-binary.js';
import { builtPage } from './test-run.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts Debian's Chromium without a window. */
export function startChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS });
}

/** One page, and everything that went wrong in it. */
export interface Tab {
  readonly page: Page;
  /** Loads another address, or the same one anew. */
  visit(url: string): Promise<void>;
  /** Errors and warnings of the console, breaches of the CSP among them, exceptions, and requests to other hosts. */
  readonly faults: readonly string[];
}

/** A suite in a real browser, with the page built; skipped without Chromium, which is a failure in CI. */
export function describeInBrowser(
  title: string,
  suite: (open: (url: string, options?: BrowserContextOptions) => Promise<Tab>) => void,
): void {
  const path = needsBinary('chromium', 'apt-get install chromium');
  describe.skipIf(path === undefined)(title, () => {
    let browser: Browser;
    beforeAll(async () => {
      await builtPage();
      browser = await startChromium(path ?? 'chromium');
    });
    /** By their options: what the browser has loaded and compiled for one test serves the next. Pages keep nothing but cookies. */
    const profiles = new Map<string, Promise<BrowserContext>>();
    afterEach(async () => {
      for (const profile of browser.contexts()) {
        await Promise.all(profile.pages().map((page) => page.close()));
        await profile.clearCookies();
      }
    });
    afterAll(() => browser.close());
    suite(async (url, options = {}) => {
      const key = JSON.stringify(options);
      const profile =
        profiles.get(key) ??
        browser.newContext({
          viewport: { width: 1280, height: 900 },
          timezoneId: 'Europe/Berlin',
          ...options,
        });
      profiles.set(key, profile);
      const page = await (await profile).newPage();
      // Shorter than a test may take: the failure then says what was awaited.
      page.setDefaultTimeout(45_000);
      const faults: string[] = [];
      const { host } = new URL(url);
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) faults.push(message.text());
      });
      page.on('pageerror', (error) => faults.push(String(error)));
      page.on('request', (request) => {
        const { protocol, host: asked } = new URL(request.url());
        if (protocol !== 'data:' && asked !== host) faults.push(`request to ${request.url()}`);
      });
      await page.goto(url);
      const visit = async (next: string) => {
        // Where only the part behind # differs, nothing would be loaded.
        await page.goto('about:blank');
        await page.goto(next);
      };
      return { page, faults, visit };
    });
  });
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string | null;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds that is serious or critical, one line each. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // Evaluated by the browser's debugger, not added to the page: its CSP would refuse it.
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate<AxeResult>('axe.run(document, { resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
    );
}

/**
 * Waits until a page shows something: at most what is promised on an idle machine, and five times what the page waits here
 * for a frame meanwhile.
 */
export async function shownWithin(page: Page, promisedMs: number, shown: Promise<unknown>): Promise<void> {
  const began = performance.now();
  const took: { ms?: number } = {};
  const shownAfter = shown.finally(() => {
    took.ms = performance.now() - began;
  });
  let slowestMs = 0;
  while (took.ms === undefined) {
    const from = performance.now();
    await page.evaluate('new Promise(requestAnimationFrame)');
    slowestMs = Math.max(slowestMs, performance.now() - from);
  }
  await shownAfter;
  expect(took.ms).toBeLessThan(promisedMs + 5 * slowestMs);
}
