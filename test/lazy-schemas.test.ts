import { describe, expect, it } from 'vitest';
import { globalConfig } from 'zod/v4/core';

describe('importing the package', () => {
  it('makes few schemas: those of files, Redis and what few services use are made with their first use', async () => {
    let made = 0;
    Object.assign(globalConfig, { postProcessor: () => (made += 1) });
    const { ConfigError, successRateBelow } = await import('../src/index.js');
    // Were all made at once, they would be more than 2,000, and half of the time that importing takes.
    expect(made).toBeLessThan(900);
    expect(made).toBeGreaterThan(0);
    expect(() => successRateBelow(95)).toThrow(ConfigError);
  });
});
