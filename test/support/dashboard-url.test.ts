import { describe, expect, it } from 'vitest';
import { decisionUrl, flagUrl } from '../../src/support/dashboard-url.js';

describe('the addresses within a dashboard', () => {
  it.each([
    ['https://app.example.com', 'https://app.example.com/'],
    ['https://app.example.com/', 'https://app.example.com/'],
    ['https://app.example.com/rollouts', 'https://app.example.com/rollouts/'],
    ['https://app.example.com:8443/a/rollouts//', 'https://app.example.com:8443/a/rollouts/'],
    ['http://[::1]:3000/x?team=a', 'http://[::1]:3000/x/?team=a'],
    ['https://app.example.com/rollouts#old', 'https://app.example.com/rollouts/'],
  ])('are below %s, with one slash', (dashboardUrl, base) => {
    expect(flagUrl(dashboardUrl, 'async-upload')).toBe(`${base}#/flags/async-upload`);
    expect(decisionUrl(dashboardUrl, 'async-upload', 'd-1')).toBe(
      `${base}#/flags/async-upload/decisions/d-1`,
    );
  });

  it('keep a hostile key or id within its part', () => {
    expect(decisionUrl('https://app.example.com', 'a/../b?c#d', '"><i>/..')).toBe(
      'https://app.example.com/#/flags/a%2F..%2Fb%3Fc%23d/decisions/%22%3E%3Ci%3E%2F..',
    );
  });
});
