import { describe, expect, it, vi } from 'vitest';

async function copy() {
  vi.resetModules();
  const { ConfigError } = await import('../../src/support/config-error.js');
  const { AdminError } = await import('../../src/unleash/admin-error.js');
  const { ControlError } = await import('../../src/guard/control/control-error.js');
  const { FleetError } = await import('../../src/fleet/fleet-link.js');
  const { NotifyError } = await import('../../src/notify/notifier.js');
  const { OperationTimeoutError } = await import('../../src/operation/attempts.js');
  const { ConsumedInputError } = await import('../../src/operation/consumed-input.js');
  return {
    ConfigError,
    AdminError,
    ControlError,
    FleetError,
    NotifyError,
    OperationTimeoutError,
    ConsumedInputError,
  };
}
type Copy = Awaited<ReturnType<typeof copy>>;

const [one, other] = [await copy(), await copy()];
const make: { readonly [Name in keyof Copy]: (from: Copy) => Error } = {
  ConfigError: (from) => new from.ConfigError('RolloutGuard options', []),
  AdminError: (from) => new from.AdminError('ADMIN_TOKEN', 'It may not.'),
  ControlError: (from) => new from.ControlError('UNLEASH', 'It cannot.'),
  FleetError: (from) => new from.FleetError('TIMEOUT', 'It is late.'),
  NotifyError: (from) => new from.NotifyError('It went away.', { retryable: true }),
  OperationTimeoutError: (from) => new from.OperationTimeoutError(5),
  ConsumedInputError: (from) => new from.ConsumedInputError(undefined),
};
const names = Object.keys(make) as (keyof Copy)[];

describe('errors of another copy of the package', () => {
  it.each(names)('are instances of %s alone', (name) => {
    expect(one[name]).not.toBe(other[name]);
    const error = make[name](other);
    expect(names.filter((each) => error instanceof one[each])).toEqual([name]);
    expect(make[name](one)).toBeInstanceOf(one[name]);
    expect(new Error('it failed')).not.toBeInstanceOf(one[name]);
  });

  it('are no instances of a class of the application that extends one', () => {
    class OwnError extends one.NotifyError {}
    expect(make.NotifyError(other)).not.toBeInstanceOf(OwnError);
    const own = new OwnError('It went away.', { retryable: false });
    expect(own).toBeInstanceOf(OwnError);
    expect(own).toBeInstanceOf(other.NotifyError);
  });
});
