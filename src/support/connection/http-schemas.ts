import { z } from 'zod';
import type { Clock } from '../clock.js';

/**
 * An address for `fetch`, which refuses user and password in one.
 *
 * @param expected - What an error says was expected.
 */
export function httpUrlSchema(expected = 'a URL with its scheme, without user and password') {
  return z.url({ protocol: /^https?$/, error: expected, abort: true }).refine(
    (url) => {
      const { username, password } = new URL(url);
      // `http:///api` would be the host `api`.
      return username === '' && password === '' && /^\s*https?:\/\/(?![/\\])/i.test(url);
    },
    { error: expected },
  );
}

/** A URL's path without the slashes at its end. A regular expression would need the square of the time for a path of slashes. */
export function withoutTrailingSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === '/') end--;
  return path.slice(0, end);
}

/** Headers for every request. An error shows none of their values: it does not show what is under this name. */
export const headersSchema = z
  .record(
    z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, { error: 'a header name' }),
    z
      .string({ error: 'the value of a header' })
      .regex(/^[\t\x20-\x7e]*$/, { error: 'the value of a header' }),
  )
  .optional();

export const fetchSchema = z
  .custom<typeof fetch>((value) => typeof value === 'function', { error: 'a function' })
  .optional();

export const clockSchema = z
  .custom<Clock>(
    (value) =>
      typeof value === 'object' && value !== null && 'now' in value && typeof value.now === 'function',
    {
      error: 'a Clock',
    },
  )
  .optional();
