import { describe, expect, it } from 'vitest';
import { adminTokenProblem, unleashUrlProblem } from '../../src/unleash/admin-access.js';

describe('unleashUrlProblem', () => {
  it.each([
    [
      'https://u.example.com/eu/api/admin/projects',
      '"/admin" is added to it: use https://u.example.com/eu/api',
    ],
    ['https://u.example.com/api/client/features', '"/client" is of SDKs: use https://u.example.com/api'],
    ['https://u.example.com/proxy/', 'use https://u.example.com/api of Unleash'],
  ])('says what to use in place of %s, and nothing of tokens for SDKs', (url, advice) => {
    expect(unleashUrlProblem(url)).toMatch(new RegExp(`${advice}$`));
  });
});

describe('adminTokenProblem', () => {
  it.each([
    ['an admin token', '*:*.5f3c9d'],
    ['a personal access token', 'user:5f3c9d'],
    ['an unknown form, about which Unleash decides', '964a287e1b728cb5f4f3e0120df92cb5'],
  ])('accepts %s', (_, token) => {
    expect(adminTokenProblem(token)).toBeUndefined();
  });

  it.each([
    ['a client token of one project', 'default:development.s3cr3t', /client or frontend token/],
    ['a client token of all projects', '*:production.s3cr3t', /client or frontend token/],
    ['a client token of several projects', '[]:production.s3cr3t', /client or frontend token/],
    ['nothing', '', /empty/],
    ['blanks', '   ', /empty/],
    ['a whole header', 'Bearer *:*.s3cr3t', /Bearer/],
    ['quotation marks', '"*:*.s3cr3t"', /quotation marks/],
    ['a variable that is not set', 'undefined', /not set/],
    ['a variable that nothing replaces', `\${UNLEASH_s3cr3t}`, /placeholder/],
    ['one of a shell', '$UNLEASH_s3cr3t', /placeholder/],
    ['one of documentation', '<s3cr3t>', /placeholder/],
    ['a line break at the end', '*:*.s3cr3t\n', /white space/],
    ['characters that no header carries', '*:*.s3cr3t…', /characters/],
  ])('refuses %s and does not repeat it', (_, token, problem) => {
    expect(adminTokenProblem(token)).toMatch(problem);
    expect(adminTokenProblem(token)).not.toContain('s3cr3t');
  });
});
