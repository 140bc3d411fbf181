import type { AdminObservation, Answer, Observations } from '../../src/doctor/observations.js';

export const NOW = Date.UTC(2026, 2, 1, 12);

export type Observed = Exclude<AdminObservation, { readonly tokenProblem: string }>;

/** An answer with JSON; of a server whose clock agrees. */
export const answer = (json: unknown, status = 200): Answer => ({
  status,
  json,
  serverDate: NOW,
  localDate: NOW + 500,
});

export const silence: Answer = { noAnswer: 'ECONNREFUSED' };

export const rollout = (parameters: Record<string, string> = { rollout: '10', stickiness: 'default' }) => ({
  name: 'flexibleRollout',
  parameters,
});

export const features = (overrides: { strategies?: object[]; query?: object; name?: string } = {}): Answer =>
  answer({
    version: 2,
    features: [
      {
        name: overrides.name ?? 'async-upload',
        enabled: true,
        project: 'default',
        strategies: overrides.strategies ?? [rollout()],
      },
    ],
    query: overrides.query ?? { project: ['default'], environment: 'production' },
  });

export const adminFlag: Observed['flag'] = {
  key: 'async-upload',
  project: 'default',
  type: 'release',
  enabled: true,
  strategies: [
    {
      id: 's',
      name: 'flexibleRollout',
      title: undefined,
      disabled: false,
      parameters: { rollout: '25', stickiness: 'userId' },
    },
  ],
  links: [],
};

export const admin = (overrides: Partial<Observed> = {}): Observed => ({
  tokenProblem: undefined,
  user: answer({ permissions: [{ permission: 'ADMIN' }] }),
  expiry: { expiresAt: undefined, isKnown: true, user: undefined, candidates: 1 },
  flag: adminFlag,
  history: 'readable',
  changeRequests: answer({ message: 'The path you were looking for (/api/x) is not available.' }, 404),
  ...overrides,
});

/** A rollout in which everything is as it should be. */
export const healthy = (overrides: Partial<Observations> = {}): Observations => ({
  target: {
    url: 'https://unleash.example.com/api',
    flagKey: 'async-upload',
    project: 'default',
    environment: 'production',
    contextFields: ['userId'],
  },
  health: answer({ health: 'GOOD' }),
  features: features(),
  admin: admin(),
  folder: { path: 'logs', exists: true, problem: undefined },
  at: NOW,
  ...overrides,
});
