import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(() => harness.close());

const toggled = () => harness.notified.filter(({ type }) => type === 'toggled');
const options = () => ({ tickMs: 5, notify: harness.notify });

/** As an operator does it in Unleash's UI, and the provider sees it with its next poll. */
function toggle(enabled: boolean, by = 'ann'): void {
  harness.unleash.toggle(enabled, by);
  harness.flags.change({ enabled });
}

describe('an operator who turns the flag off in Unleash, and on again', () => {
  it('is named in a notification of each', async () => {
    await harness.started(options());
    toggle(false);
    await harness.until('off', () => toggled().length === 1);
    toggle(true, 'bob');
    await harness.until('on', () => toggled().length === 2);
    expect(toggled()).toMatchObject([
      {
        title: 'async-upload was turned off in Unleash',
        severity: 'info',
        message: expect.stringMatching(/^ann turned the flag off in Unleash\. This guard did not/),
      },
      {
        title: 'async-upload was turned on in Unleash',
        message: 'bob turned the flag on in Unleash, at 10 %. A new rollout begins, with empty windows.',
      },
    ]);
  });

  it('may be a guard, where one has that name in the history', async () => {
    await harness.started(options());
    const [id, createdBy, createdAt] = [1, 'guard-token', new Date().toISOString()];
    const data = { type: 'rollout-guard', value: 'stage:10' };
    harness.unleash.history.push({ id, type: 'feature-tagged', environment: '', createdBy, createdAt, data });
    toggle(false, createdBy);
    await harness.until('off', () => toggled().length === 1);
    expect(toggled()[0]!.message).toMatch(
      /^guard-token turned the flag off in Unleash: a guard of another process or run, or an operator of that name\. This guard did not/,
    );
  });

  it('is notified without a name when the history cannot be read', async () => {
    await harness.started(options());
    harness.unleash.failure = (request) =>
      request.includes('/events/') ? Response.json({}, { status: 403 }) : undefined;
    toggle(false);
    await harness.until('off', () => toggled().length === 1);
    expect(toggled()[0]!.message).toMatch(/^An operator turned the flag off/);
  });

  it('is notified of what happened while no guard ran, and not of a flag that was off all the time', async () => {
    const guard = await harness.started(options());
    await guard.close();
    toggle(false);
    const later = await harness.started(options());
    await harness.until('off', () => toggled().length === 1);
    await later.close();
    await harness.started(options());
    await harness.ticks(3);
    expect(toggled()).toHaveLength(1);
  });

  it('is not notified when the flag is off from the beginning, or the percentage changes', async () => {
    harness.flags.change({ enabled: false });
    const guard = await harness.started(options());
    await harness.ticks(2);
    toggle(true);
    await harness.until('on', () => toggled().length === 1);
    harness.flags.change({ rolloutPercentage: 50 });
    await harness.ticks(2);
    await guard.close();
    expect(toggled().map(({ title }) => title)).toEqual(['async-upload was turned on in Unleash']);
  });

  it('is not mistaken for a definition that arrives late', async () => {
    const guard = await harness.started(options());
    harness.unleash.toggle(false, 'ann');
    harness.unleash.toggle(true, 'ann');
    harness.flags.change({ enabled: false });
    await harness.ticks(2);
    harness.flags.change({ enabled: true });
    await harness.until('read', () => toggled().length === 1);
    await guard.close();
    expect(toggled().map(({ title }) => title)).toEqual(['async-upload was turned on in Unleash']);
  });
});

describe("the guard's own off", () => {
  it('has no such notification, and neither has the on after it, which re-arms: both are recorded with the stop', async () => {
    const guard = await harness.started(options());
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    harness.flags.change({ enabled: false });
    await harness.ticks(2);
    toggle(true);
    await harness.until('re-armed', () => guard.state.status === 'armed');
    await harness.ticks(2);
    await guard.close();
    expect(toggled()).toEqual([]);
    expect(harness.notified.map(({ type }) => type)).toContain('re-armed');
    const { id: decisionId } = harness.reported('decided')[0]!.decision;
    expect(harness.reported('toggled')).toMatchObject([
      { change: 'off', decisionId },
      { change: 'on', by: 'ann', decisionId },
    ]);
  });
});
