import { describe, expect, it } from 'vitest';
import {
  apiPathAdvice,
  clientFeaturesUrl,
  clientTokenProblem,
  clientUrlProblem,
  tokenScope,
} from '../../src/unleash/client-api.js';

const host = 'https://unleash.example.com';

describe('an address for SDKs', () => {
  it.each([
    [host, `use ${host}/api`],
    [`${host}/`, `use ${host}/api`],
    [`${host}/api/frontend`, `frontend API.*use ${host}/api`],
    [`${host}/shop/api/frontend/`, `use ${host}/shop/api`],
    [`${host}/api/proxy`, `frontend API.*use ${host}/api`],
    [`${host}/proxy`, `Unleash Proxy.*use ${host}/api`],
    [`${host}/edge/proxy/`, `use ${host}/edge/api`],
    [`${host}/api/admin`, `admin API.*use ${host}/api`],
    [`${host}/api/client/features`, `add "/client" themselves.*use ${host}/api`],
    [`${host}/projects/default/features/x`, `UI.*use ${host}/api`],
    [`${host}/API/Frontend`, `frontend API.*use ${host}/api`],
    ['https://ann:pw@unleash.example.com/api', 'user and password'],
    [`${host}/api?project=shop`, 'leave it out'],
    [`${host}/api#shop`, 'leave it out'],
    [`${host}/shop/login`, `UI.*use ${host}/shop/api`],
  ])('is refused with advice: %s', (url, advice) => {
    expect(clientUrlProblem(url)).toMatch(new RegExp(advice));
  });

  it.each([
    `${host}/api`,
    `${host}/api/`,
    `${host}/shop/api`,
    'http://localhost:3063/api',
    'https://gitlab.example.com/api/v4/feature_flags/unleash/42',
    `${host}/gateway/flags`,
  ])('is accepted: %s', (url) => {
    expect(clientUrlProblem(url)).toBeUndefined();
  });

  it('has advice for the case that it does not work, and where SDKs read', () => {
    expect(apiPathAdvice(`${host}/gateway/`)).toContain('"/gateway"');
    expect(apiPathAdvice(`${host}/shop/api`)).toBeUndefined();
    expect(clientFeaturesUrl(`${host}/shop/api/`)).toBe(`${host}/shop/api/client/features`);
  });
});

describe('a token for SDKs', () => {
  it.each([
    ['default:development.x1', { project: 'default', environment: 'development' }],
    ['*:production.x1', { project: undefined, environment: 'production' }],
    ['[]:production.x1', { project: undefined, environment: 'production' }],
    ['*:*.x1', undefined],
    ['user:x1', undefined],
    ['something else', undefined],
  ])('shows what it reads: %s', (token, scope) => {
    expect(tokenScope(token)).toEqual(scope);
  });

  it('is refused when its form is that of another kind, and never shown', () => {
    expect(clientTokenProblem('*:*.s3cret')).toMatch(/admin token/);
    expect(clientTokenProblem('user:s3cret')).toMatch(/personal access token/);
    expect(clientTokenProblem('*:*.s3cret')).not.toContain('s3cret');
    expect(clientTokenProblem('default:development.x')).toBeUndefined();
    expect(clientTokenProblem('Bearer eyJhbGciOi')).toBeUndefined();
  });

  it.each([
    ['Bearer default:development.s3cret', /begins with "Bearer"/],
    ['default:development.s3cret\n', /white space/],
    [' default:development.s3cret', /white space/],
    ['default:development.s3 cret', /white space/],
    ['"default:development.s3cret"', /quotation marks/],
    ['undefined', /is not set/],
    ['$CLIENT_s3cret', /is a placeholder/],
    [' ', /is empty/],
  ])('is refused when nothing can be sent so: %j', (token, problem) => {
    expect(clientTokenProblem(token)).toMatch(problem);
    expect(clientTokenProblem(token)).not.toContain('s3');
  });
});
