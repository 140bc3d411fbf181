import { withoutTrailingSlashes } from './connection/http-schemas.js';

/** The address of a flag within a dashboard. @param dashboardUrl - Where the dashboard is mounted. */
export function flagUrl(dashboardUrl: string, flagKey: string): string {
  const { origin, pathname, search } = new URL(dashboardUrl);
  // After a #: the page is one file, whatever serves it, and what it fetches stays relative to it.
  return `${origin}${withoutTrailingSlashes(pathname)}/${search}#/flags/${encodeURIComponent(flagKey)}`;
}

/** The address of one decision within a dashboard. @param dashboardUrl - Where the dashboard is mounted. */
export function decisionUrl(dashboardUrl: string, flagKey: string, decisionId: string): string {
  return `${flagUrl(dashboardUrl, flagKey)}/decisions/${encodeURIComponent(decisionId)}`;
}
