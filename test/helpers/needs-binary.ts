import { describe } from 'vitest';
import { findOnPath } from './on-path.js';

/**
 * The path of a program that some suites need. Without it they are skipped, with a line about how to install it; in CI that
 * is a failure, because the line would go unread.
 */
export function needsBinary(name: string, howToGet: string): string | undefined {
  const path = findOnPath(name);
  if (path !== undefined) return path;
  const missing = `There is no ${name} on the PATH. To run these tests: ${howToGet}`;
  if (isSet(process.env.CI)) throw new Error(missing);
  console.warn(`Skipped. ${missing}`);
  return undefined;
}

/**
 * A suite that needs a program; it is skipped without it.
 *
 * @example describeWithBinary('a real Prometheus', 'prometheus', 'apt-get install prometheus', (prometheus) => { … })
 */
export function describeWithBinary(
  title: string,
  name: string,
  howToGet: string,
  suite: (path: string) => void,
): void {
  const path = needsBinary(name, howToGet);
  describe.skipIf(path === undefined)(title, () => suite(path ?? name));
}

function isSet(variable: string | undefined): boolean {
  return variable !== undefined && !['', '0', 'false'].includes(variable);
}
