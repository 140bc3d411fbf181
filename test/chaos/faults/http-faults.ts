import type { Expectation, Fault } from '../fault.js';
import type { HttpFault } from '../faulty-proxy.js';

/** Faults that an HTTP API can have. */
const HTTP_FAULTS: readonly { readonly name: string; readonly fault: HttpFault }[] = [
  ...[401, 403, 404, 500, 503].map((status) => ({
    name: `answers ${status}`,
    fault: { type: 'status', status } as const,
  })),
  { name: 'answers 429', fault: { type: 'status', status: 429, headers: { 'retry-after': '2' } } },
  { name: 'does not answer in time', fault: { type: 'slow' } },
  { name: 'answers 100 MB', fault: { type: 'huge', megabytes: 100 } },
  { name: 'cuts each answer', fault: { type: 'cut' } },
  { name: 'is unreachable', fault: { type: 'unreachable' } },
];

/** What CI runs: each kind of fault once for each API, or for one of them where both read answers alike. */
const SHORT: Readonly<Record<'admin' | 'client', ReadonlySet<string>>> = {
  admin: new Set([
    'answers 403',
    'answers 429',
    'does not answer in time',
    'answers 100 MB',
    'is unreachable',
  ]),
  client: new Set(['answers 401', 'answers 503', 'answers 100 MB', 'cuts each answer', 'is unreachable']),
};

/** The admin API is needed from the moment of a decision on: that it fails must be said, and the stop must come. */
const OF_ADMIN_API: Partial<Expectation> = { message: /"(stop-failed|action-required)"/ };

/** Without a token that Unleash accepts, no change of the flag arrives: that must be said, and polling must start again by itself. */
const REFUSED_TOKEN: Partial<Expectation> = {
  message: /"stale-flags"/,
  reArmMs: 20_000,
  operatorOffMs: 20_000,
};
const OF_CLIENT_API: Readonly<Record<string, Partial<Expectation>>> = {
  'answers 401': REFUSED_TOKEN,
  'answers 403': REFUSED_TOKEN,
};

export const adminFaults: readonly Fault[] = HTTP_FAULTS.map(({ name, fault }) => ({
  name: `admin API ${name}`,
  area: 'admin API',
  isShort: SHORT.admin.has(name),
  lastsMs: 0,
  inject: ({ admin }) => admin.inject(fault),
  heal: ({ admin }) => admin.heal(),
  expect: OF_ADMIN_API,
}));

export const clientFaults: readonly Fault[] = HTTP_FAULTS.map(({ name, fault }) => ({
  name: `client API ${name}`,
  area: 'client API',
  isShort: SHORT.client.has(name),
  inject: ({ client }) => client.inject(fault),
  heal: ({ client }) => client.heal(),
  expect: OF_CLIENT_API[name] ?? {},
}));
