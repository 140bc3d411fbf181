import type { EmbeddedUnleash } from '../../src/testing/embedded-unleash.js';

/** How often an application evaluated a flag on and off, by Unleash's own usage metrics. */
export async function flagUsage(
  unleash: Pick<EmbeddedUnleash, 'request'>,
  flagKey: string,
  appName: string,
): Promise<{ yes: number; no: number }> {
  const path = `/api/admin/client-metrics/features/${flagKey}/raw`;
  const { data } = (await unleash.request('GET', path)) as {
    data: readonly { appName: string; yes: number; no: number }[];
  };
  const usage = { yes: 0, no: 0 };
  for (const row of data) {
    if (row.appName !== appName) continue;
    usage.yes += row.yes;
    usage.no += row.no;
  }
  return usage;
}
