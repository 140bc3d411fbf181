// A guarded service with HTTP calls in flight, which its parent freezes, or which blocks its own event loop.
import { Agent, get } from 'node:http';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { ArmFunction } from '../../src/operation/attempts.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { FakeFlags } from './fake-flags.js';

/** What the service reports. */
export interface FreezingReport {
  readonly served: number;
  readonly failed: number;
  readonly errors: readonly unknown[];
  readonly state: string;
}

const [port = '', timeoutMs = '', upload = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });

const withNodeHttp = (signal: AbortSignal) =>
  new Promise<string>((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    request.on('error', reject);
  });
const withFetch = async (signal: AbortSignal) => (await fetch(`http://127.0.0.1:${port}`, { signal })).text();
const call = upload === 'fetch' ? withFetch : withNodeHttp;

const guard = new RolloutGuard({
  flagKey: 'async-upload',
  flags: new FakeFlags(),
  unleash: { url: 'http://127.0.0.1:9/api', token: '*:*.made-up', environment: 'production' },
  rollback: [successRateBelow(0.95, { minOutcomes: 20 })],
  folder: false,
  dryRun: true,
  logger: false,
});
await guard.start();
const arm: ArmFunction<undefined, string> = (_, { signal }) => call(signal);
const operate = guard.operation<undefined, string>({
  treatment: arm,
  control: arm,
  retries: 0,
  timeoutMs: Number(timeoutMs),
});

let user = 0;
setInterval(() => {
  for (let count = 0; count < 3; count++)
    operate({ targetingKey: `user-${user++}` }, undefined).catch(() => {});
}, 50);

process.on('message', (blockMs: number) => {
  if (blockMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
  const { state, snapshot } = guard.status();
  const { successes, failures, errorTypes } = snapshot.total.treatment;
  const wouldHaveStopped = state.status === 'armed' && state.wouldHaveStopped !== undefined;
  process.send?.({
    served: successes,
    failed: failures,
    errors: errorTypes,
    state: wouldHaveStopped ? 'would have stopped' : state.status,
  } satisfies FreezingReport);
});
process.send?.('ready');
