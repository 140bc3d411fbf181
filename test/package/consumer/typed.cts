import { ConfigError, type FlagSource, guardFlags, successRateBelow } from 'unleash-rollout-guard';
import { type DashboardHandler, dashboard } from 'unleash-rollout-guard/dashboard';

export const trigger: { readonly name: string } = successRateBelow(0.95);
export function shown(provider: FlagSource): readonly DashboardHandler[] {
  const guarded = guardFlags({
    provider,
    unleash: { url: 'https://unleash.example.com/api', token: '*:*.made-up', environment: 'production' },
    flags: { upload: { rollback: [successRateBelow(0.95)] } },
  });
  // @ts-expect-error: not one of the flags
  guarded.get('uplaod');
  return [guarded.dashboard(), dashboard(guarded), dashboard([guarded.get('upload'), guarded.guards.upload])];
}
export const isProblem = (error: unknown): boolean => error instanceof ConfigError;
