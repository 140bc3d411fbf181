import type { IncomingMessage } from 'node:http';
import { Refusal } from './reply.js';

/** Where a request leads, relative to the dashboard. */
export interface RequestPath {
  /** Decoded; empty for the page itself. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  /** Set where the address lacks the slash at its end, without which relative addresses lead elsewhere: the page's own, relative to it. */
  readonly folder: string | undefined;
}

/**
 * Reads the path of a request below the dashboard.
 *
 * @param baseUrl - Where the dashboard is mounted, unless the framework has taken that away.
 * @throws Refusal for a path that is elsewhere or cannot be read.
 */
export function pathOf(request: IncomingMessage, baseUrl: string | undefined): RequestPath {
  const { pathname, query } = split(request.url ?? '/');
  const original = 'originalUrl' in request ? split(String(request.originalUrl)).pathname : pathname;
  const path = withoutBase(pathname, baseUrl, original !== pathname);
  const segments = decoded(path);
  const isPage = segments.length === 0;
  const folder =
    isPage && !original.endsWith('/') ? `${original.slice(original.lastIndexOf('/') + 1)}/` : undefined;
  return { segments, query, folder };
}

/** @param isStripped - The framework has taken the path away already. */
function withoutBase(pathname: string, baseUrl: string | undefined, isStripped: boolean): string {
  if (baseUrl === undefined) return pathname;
  if (pathname === baseUrl) return '';
  if (pathname.startsWith(`${baseUrl}/`)) return pathname.slice(baseUrl.length);
  if (isStripped) return pathname;
  throw new Refusal(404, `The dashboard is mounted below ${baseUrl}.`);
}

function split(url: string): { readonly pathname: string; readonly query: URLSearchParams } {
  const end = url.search(/[?#]/);
  const pathname = end < 0 ? url : url.slice(0, end);
  const query = end < 0 ? '' : url.slice(end + 1).replace(/#.*$/s, '');
  return { pathname, query: new URLSearchParams(query) };
}

/** No part is empty or leads upwards, however it is written. */
function decoded(path: string): string[] {
  const parts = path.replace(/^\//, '').split('/');
  if (parts.length === 1 && parts[0] === '') return [];
  return parts.map((part) => {
    let text: string;
    try {
      text = decodeURIComponent(part);
    } catch {
      throw new Refusal(400, 'The address cannot be read.');
    }
    if (text === '' || text === '.' || text === '..' || text.includes('\0')) {
      throw new Refusal(404, 'There is no such address.');
    }
    return text;
  });
}
