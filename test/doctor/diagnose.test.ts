import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.js';
import type { FindingStatus } from '../../src/doctor/finding.js';
import type { Answer, Observations } from '../../src/doctor/observations.js';
import { AdminError } from '../../src/unleash/admin-error.js';
import type { AdminFlag } from '../../src/unleash/admin-replies.js';
import { admin, adminFlag, answer, features, healthy, NOW, rollout, silence } from './observed.js';

const found = (observations: Observations, check: string) => {
  const [finding, ...more] = diagnose(observations).filter((finding) => finding.check === check);
  expect(finding, check).toBeDefined();
  expect(more).toEqual([]);
  return finding!;
};

type Case = [what: string, overrides: Partial<Observations>, status: FindingStatus, message: string];

function table(check: string, cases: Case[]) {
  it.each(cases)('%s', (_, overrides, status, message) => {
    const finding = found(healthy(overrides), check);
    expect(finding).toMatchObject({ status, message: expect.stringContaining(message) });
    // What is wrong, and only that, comes with what to do.
    if (status === 'fail' || status === 'warn') expect(finding.todo).toMatch(/\.$/);
    if (status === 'ok') expect(finding.todo).toBeUndefined();
  });
}

describe('diagnose', () => {
  it('finds nothing wrong with a healthy rollout', () => {
    const findings = diagnose(healthy());
    expect(findings.map(({ check, status }) => [check, status])).toEqual(
      [
        'url',
        'client-token',
        'admin-token',
        'token-expiry',
        'admin-permission',
        'admin-history',
        'change-requests',
        'flag',
        'percentage',
        'stickiness',
        'strategies',
        'id-lists',
        'clock',
        'folder',
      ].map((check) => [check, 'ok']),
    );
  });

  it('reports only unknown findings when Unleash does not answer', () => {
    const down = new AdminError('ADMIN_UNAVAILABLE', 'down');
    const findings = diagnose(
      healthy({
        health: silence,
        features: silence,
        admin: admin({ user: silence, flag: down, history: down, changeRequests: silence }),
      }),
    );
    expect(findings.map(({ check, status }) => [check, status])).toEqual([
      ['url', 'fail'],
      ['client-token', 'unknown'],
      ['admin-token', 'unknown'],
      ['flag', 'unknown'],
      ['clock', 'unknown'],
      ['folder', 'ok'],
    ]);
  });
});

describe('token-expiry', () => {
  const DAY = 24 * 3_600_000;
  const expiry = (days: number, candidates = 1) =>
    admin({ expiry: { expiresAt: NOW + days * DAY, isKnown: true, user: 'ann', candidates } });
  const hidden = { expiresAt: undefined, isKnown: false, user: undefined, candidates: 0 };
  table('token-expiry', [
    ['has no date', {}, 'ok', 'does not expire'],
    ['is far', { admin: expiry(30) }, 'ok', 'expires on 2026-03-31 12:00 UTC (in 30 days)'],
    ['is hours away', { admin: expiry(0.5) }, 'warn', 'expires on 2026-03-02 00:00 UTC (in 12 h)'],
    ['is near', { admin: expiry(6.5) }, 'warn', 'expires on 2026-03-08 00:00 UTC (in 6 days)'],
    ['is not shown', { admin: admin({ expiry: hidden }) }, 'unknown', 'does not show'],
    [
      'is that of another token, maybe',
      { admin: expiry(90, 3) },
      'warn',
      'one of 3 tokens of "ann", the first of which expires on 2026-05-30',
    ],
  ]);

  it('explains what to do with open-source Unleash', () => {
    const { todo } = found(healthy({ admin: expiry(1) }), 'token-expiry');
    expect(todo).toMatch(/a user of its own.*one personal access token/);
  });
});

describe('url', () => {
  const notUnleash = answer(undefined);
  table('url', [
    [
      'an address that the provider cannot use',
      { target: { ...healthy().target, url: 'https://unleash.example.com' } },
      'fail',
      "The service's provider cannot use https://unleash.example.com/: the API of Unleash is one level below",
    ],
    [
      'the frontend API',
      { target: { ...healthy().target, url: 'https://unleash.example.com/api/frontend' } },
      'fail',
      'this is the frontend API, for browsers',
    ],
    ['is reachable', {}, 'ok', 'An Unleash answers at https://unleash.example.com/api'],
    [
      'is an Unleash behind a gateway that hides /health',
      { health: answer(undefined, 404) },
      'ok',
      'An Unleash',
    ],
    [
      'is one as the admin API shows',
      { health: answer(undefined, 404), features: undefined },
      'ok',
      'An Unleash',
    ],
    ['is not reachable', { health: silence, features: undefined, admin: undefined }, 'fail', 'ECONNREFUSED'],
    [
      'is something else',
      { health: notUnleash, features: notUnleash, admin: undefined },
      'fail',
      'is not an Unleash',
    ],
    ['redirects', { health: answer(undefined, 308) }, 'fail', 'redirects'],
    [
      'hides what may be secret in it',
      { target: { ...healthy().target, url: 'https://ada:pw@unleash.example.com/api?token=x' } },
      'fail',
      'cannot use https://unleash.example.com/api: a user and password in it are not sent',
    ],
  ]);
});

describe('client token', () => {
  table('client-token', [
    [
      'an address that the provider cannot use',
      { target: { ...healthy().target, url: 'https://unleash.example.com' }, features: answer({}, 403) },
      'unknown',
      'the URL is not one for SDKs',
    ],
    ['fits', {}, 'ok', 'reads project "default" in "production"'],
    ['was not given', { features: undefined }, 'unknown', 'No client token'],
    [
      'has the form of another kind',
      { features: undefined, clientTokenProblem: 'this is an admin token' },
      'fail',
      'cannot be used: this is an admin token.',
    ],
    ['is not known', { features: answer({}, 401) }, 'fail', 'does not accept'],
    ['is of another kind', { features: answer({}, 403) }, 'fail', 'not a client token'],
    [
      'is for another environment',
      { features: features({ query: { project: ['default'], environment: 'development' } }) },
      'fail',
      'reads environment "development"',
    ],
    [
      'is for another project',
      { features: features({ query: { project: ['web', 'app'], environment: 'production' } }) },
      'fail',
      '"web", "app", not "default"',
    ],
    [
      'is for all projects',
      { features: features({ query: { project: ['*'], environment: 'production' } }) },
      'ok',
      'reads',
    ],
    ['is for an unknown environment', { features: features({ query: {} }) }, 'warn', 'does not report'],
    ['with a broken Unleash', { features: answer('<html>', 502) }, 'unknown', '502'],
  ]);
});

describe('admin token', () => {
  table('admin-token', [
    [
      'an address that is not that of the API',
      {
        target: { ...healthy().target, url: 'https://unleash.example.com/api/frontend' },
        admin: admin({ user: answer({}, 403) }),
      },
      'unknown',
      "the URL is not that of Unleash's API",
    ],
    ['is accepted', {}, 'ok', 'accepts'],
    ['was not given', { admin: undefined }, 'unknown', 'No admin token'],
    ['is malformed', { admin: { tokenProblem: 'the token is empty' } }, 'fail', 'the token is empty'],
    ['is not known', { admin: admin({ user: answer({}, 401) }) }, 'fail', 'does not accept'],
    [
      'is of another kind',
      { admin: admin({ user: answer({}, 403) }) },
      'fail',
      'not a token for the admin API',
    ],
    ['with Unleash Edge', { admin: admin({ user: answer({}, 404) }) }, 'fail', '404'],
  ]);
});

const allowed = (...permissions: object[]): Partial<Observations> => ({
  admin: admin({ user: answer({ permissions }) }),
});

describe('permission', () => {
  const off = { permission: 'UPDATE_FEATURE_ENVIRONMENT', project: 'default', environment: 'production' };
  const tag = { permission: 'UPDATE_FEATURE', project: 'default' };
  table('admin-permission', [
    ['of an admin', {}, 'ok', 'may turn flags off'],
    ['exactly enough', allowed(off, tag), 'ok', 'may turn flags off'],
    [
      'in all projects and environments',
      allowed({ ...off, project: '*', environment: null }, tag),
      'ok',
      'may',
    ],
    ['only for the stop itself', allowed(off), 'warn', 'not tag'],
    ['in another environment', allowed({ ...off, environment: 'development' }, tag), 'fail', 'may not'],
    ['in another project', allowed({ ...off, project: 'web' }, tag), 'fail', 'may not'],
    ['none', allowed(), 'fail', 'may not turn flags off in project "default" in "production"'],
    [
      'that Unleash does not list',
      { admin: admin({ user: answer({ user: {} }) }) },
      'unknown',
      'cannot be verified without changing',
    ],
  ]);
});

describe('history', () => {
  table('admin-history', [
    ['is readable', {}, 'ok', 'can be read'],
    ['is forbidden', { admin: admin({ history: new AdminError('ADMIN_PERMISSION', 'No.') }) }, 'warn', 'No.'],
    [
      'is not answered',
      { admin: admin({ history: new AdminError('ADMIN_UNAVAILABLE', 'Later.') }) },
      'unknown',
      'Later.',
    ],
  ]);
});

describe('change requests', () => {
  const config = (changeRequests: Answer, ...permissions: object[]): Partial<Observations> => ({
    admin: admin({ changeRequests, user: answer({ permissions }) }),
  });
  const on = answer([
    { environment: 'production', type: 'production', changeRequestEnabled: true },
    { environment: 'development', type: 'development', changeRequestEnabled: false },
  ]);
  const skip = { permission: 'SKIP_CHANGE_REQUEST', project: 'default', environment: 'production' };
  table('change-requests', [
    ['do not exist in the open-source server', {}, 'ok', 'no change requests'],
    [
      'are on elsewhere',
      config(answer([{ environment: 'development', changeRequestEnabled: true }])),
      'ok',
      'needs no change requests',
    ],
    ['are on, and may be skipped', config(on, skip), 'ok', 'may skip them'],
    [
      'are on, and may be skipped elsewhere',
      config(on, { ...skip, environment: 'development' }),
      'fail',
      'may not skip',
    ],
    ['are on, and may not be skipped', config(on), 'fail', 'wait for approval'],
    [
      'are on for an admin',
      config(on, { permission: 'ADMIN' }),
      'warn',
      'cannot be verified without changing',
    ],
    ['are of an unknown project', config(answer({ message: 'No project found' }, 404)), 'unknown', '404'],
    ['may not be read', config(answer({}, 403)), 'unknown', 'status 403'],
    ['are not answered', config(silence), 'unknown', 'ECONNREFUSED'],
  ]);
});

describe('flag', () => {
  const missing = new AdminError('ADMIN_NOT_FOUND', 'Unleash has no flag "async-upload".', {
    missing: 'flag',
  });
  table('flag', [
    ['exists', {}, 'ok', 'on in "production"'],
    ['is seen by the admin alone', { features: undefined }, 'ok', 'exists'],
    [
      'is not sent to the service',
      { features: features({ name: 'another' }) },
      'fail',
      'does not send it to the client token',
    ],
    [
      'is nowhere',
      { features: features({ name: 'another' }), admin: admin({ flag: missing }) },
      'fail',
      'will not see',
    ],
    ['is in another project', { admin: admin({ flag: missing }) }, 'fail', 'has no flag'],
    ['cannot be read', { features: undefined, admin: undefined }, 'unknown', 'no token could read'],
  ]);

  it('reports the project of a flag that the client token does not see', () => {
    const { todo } = found(healthy({ features: features({ name: 'another' }) }), 'flag');
    expect(todo).toContain('exists in project "default"');
  });

  it("uses the state of the guard's environment when the client token is for another", () => {
    const query = { project: ['default'], environment: 'development' };
    const observations = healthy({
      features: features({ query }),
      admin: admin({ flag: { ...(adminFlag as object), enabled: false } as typeof adminFlag }),
    });
    expect(found(observations, 'flag').message).toContain('off in "production"');
    expect(found(observations, 'percentage').message).toBe('Turned on, the flag rolls out to 25 %.');
  });

  it('names the latest stop by the guard while the flag is off', () => {
    const links = [
      { id: 'a', url: 'https://wiki.example.com', title: 'The plan' },
      {
        id: 'b',
        url: 'https://app.example.com',
        title: 'rollout-guard: It is slow. (production, 2026-03-01 12:00 UTC)',
      },
    ];
    const message = (enabled: boolean) => {
      const flag = { ...(adminFlag as AdminFlag), enabled, links };
      return found(healthy({ features: undefined, admin: admin({ flag }) }), 'flag').message;
    };
    expect(message(false)).toMatch(
      /is off in "production"\. The guard's latest stop: It is slow\. \(production, 2026-/,
    );
    expect(message(true)).toMatch(/is on in "production"\.$/);
  });
});

const strategies = (...strategies: object[]): Partial<Observations> => ({
  features: features({ strategies }),
});

describe('percentage', () => {
  table('percentage', [
    ['exists', {}, 'ok', '10 %'],
    [
      'of a legacy strategy',
      strategies({ name: 'gradualRolloutUserId', parameters: { percentage: '5' } }),
      'ok',
      '5 %',
    ],
    ['of several strategies', strategies(rollout(), rollout({ rollout: '50' })), 'ok', '10 %, 50 %'],
    ['is missing without strategies', strategies(), 'warn', 'no strategy'],
    ['is missing with others', strategies({ name: 'userWithId', parameters: {} }), 'warn', 'userWithId'],
    ['is disabled', strategies({ ...rollout(), disabled: true }), 'warn', 'no strategy'],
    ['is overruled', strategies(rollout(), { name: 'default' }), 'warn', 'Beside the gradual rollout'],
  ]);
});

describe('stickiness', () => {
  const sticky = (stickiness: string, contextFields = ['userId']): Partial<Observations> => ({
    ...strategies(rollout({ rollout: '10', stickiness })),
    target: { ...healthy().target, contextFields },
  });
  table('stickiness', [
    ['default, with a targeting key', sticky('default'), 'ok', 'sticks to the userId'],
    ['default, with a session', sticky('default', ['sessionId']), 'ok', 'sticks to the sessionId'],
    ['default, with neither', sticky('default', []), 'warn', 'has neither'],
    ['none given', strategies(rollout({ rollout: '10' })), 'ok', 'userId'],
    ['userId', sticky('userId'), 'ok', 'sticks to userId'],
    ['userId without a targeting key', sticky('userId', []), 'warn', 'may lack'],
    ['a field that is carried', sticky('tenantId', ['userId', 'tenantId']), 'ok', 'tenantId'],
    ['a field that may be missing', sticky('tenantId'), 'warn', 'tenantId'],
    ['random', sticky('random'), 'warn', 'random'],
    ['legacy random', strategies({ name: 'gradualRolloutRandom', parameters: {} }), 'warn', 'random'],
    ['legacy session', strategies({ name: 'gradualRolloutSessionId', parameters: {} }), 'warn', 'sessionId'],
    ['the worst of several', strategies(rollout(), rollout({ stickiness: 'random' })), 'warn', 'random'],
    ['of nothing', strategies({ name: 'default' }), 'unknown', 'no gradual rollout'],
  ]);
});

describe('clock', () => {
  const off = (ms: number): Partial<Observations> => ({
    health: { ...(answer({ health: 'GOOD' }) as object), localDate: NOW + 500 + ms } as Answer,
  });
  table('clock', [
    ['agrees', {}, 'ok', 'agree'],
    ['is 5 s off', off(5_000), 'ok', 'agree'],
    ['is ahead', off(5_001), 'warn', '5 s ahead of'],
    ['is behind', off(-90_000), 'warn', '90 s behind'],
    [
      'is not in the replies',
      {
        health: { ...(answer({}) as object), serverDate: undefined } as Answer,
        features: undefined,
      },
      'unknown',
      'No reply of Unleash contains its time',
    ],
  ]);
});

describe('folder', () => {
  table('folder', [
    ['can be written', {}, 'ok', 'can be written'],
    [
      'can be created',
      { folder: { path: 'logs', exists: false, problem: undefined } },
      'ok',
      'can be created',
    ],
    ['is read-only', { folder: { path: 'logs', exists: true, problem: 'EROFS' } }, 'fail', 'EROFS'],
    [
      'cannot be created',
      { folder: { path: 'logs', exists: false, problem: 'EACCES' } },
      'fail',
      'cannot be created',
    ],
  ]);
});
