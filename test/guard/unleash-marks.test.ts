import { expect, it, vi } from 'vitest';
import { UnleashMarks } from '../../src/guard/act/unleash-marks.js';
import type { GuardListener } from '../../src/model/event.js';
import { Limiter } from '../../src/support/async/limiter.js';
import { AdminError } from '../../src/unleash/admin-error.js';

type Given = ConstructorParameters<typeof UnleashMarks>;

it('a flag that Unleash does not mark as complete yet keeps no check of another flag waiting', async () => {
  vi.useFakeTimers();
  try {
    let emit: GuardListener = () => {};
    const records = {
      listen: (listener: GuardListener) => {
        emit = listener;
      },
      outage: vi.fn(),
    };
    const setComplete = vi
      .fn(async () => {})
      .mockRejectedValueOnce(new AdminError('ADMIN_UNAVAILABLE', 'Unleash does not answer.'));
    const checks = new Limiter(1);
    const context = { flagKey: 'async-upload', dryRun: false, records } as unknown as Given[0];
    const admin = { client: { setComplete }, checks } as unknown as Given[1];
    const fleet = { leads: true } as Given[4];
    const machine = { state: { status: 'armed' } } as Given[2];
    const marks = new UnleashMarks(context, admin, machine, {} as Given[3], fleet);
    emit({ type: 'completed', at: 0, epoch: 1, percentage: 100 });
    await vi.advanceTimersByTimeAsync(0);
    expect(setComplete).toHaveBeenCalledOnce();

    const other = vi.fn(async () => {});
    void checks.run(other);
    expect(other).toHaveBeenCalledOnce();

    await vi.advanceTimersByTimeAsync(1_000);
    expect(setComplete).toHaveBeenCalledTimes(2);
    await marks.close();
    expect(records.outage).not.toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
  }
});
