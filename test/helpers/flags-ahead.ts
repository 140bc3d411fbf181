import { type SharedUnleash, sharedUnleash } from './test-run.js';

/**
 * The flags of a suite's tests, a new one for each attempt. Each is made while the test before it runs: Unleash gives a new flag
 * to SDKs a second later.
 *
 * @param prefix - Of their keys: no other suite has it.
 * @returns gives the key of the next one.
 */
export function flagsAhead(
  prefix: string,
  options: Parameters<SharedUnleash['createFlag']>[1] = {},
): () => Promise<string> {
  let number = 0;
  const make = async () => {
    const flagKey = `${prefix}-${++number}`;
    await (await sharedUnleash()).createFlag(flagKey, options);
    return flagKey;
  };
  let ahead: Promise<string> | undefined;
  return () => {
    const next = ahead ?? make();
    ahead = next.then(make, make);
    // It concerns the test that gets the flag.
    ahead.catch(() => {});
    return next;
  };
}
