import { z } from 'zod';
import type { Clock } from '../clock.js';

const WEBHOOK_URL = 'a URL with its scheme, without user and password';

/** An address to post to. `fetch` refuses user and password in one. */
export const webhookUrlSchema = z.url({ protocol: /^https?$/, error: WEBHOOK_URL, abort: true }).refine(
  (url) => {
    const { username, password } = new URL(url);
    return username === '' && password === '';
  },
  { error: WEBHOOK_URL },
);

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
