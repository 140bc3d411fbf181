import type { ComponentChildren } from 'preact';
import type { RolloutView } from '../../../model/rollout-view.js';
import { useNow } from '../live/hooks.js';
import { Card } from '../parts/layout.js';
import { Ago, Since } from '../parts/moments.js';
import { Foreign, Sign } from '../parts/signs.js';
import { countText } from '../words/numbers.js';
import type { Mood } from '../words/standing.js';
import { agoText, dayText } from '../words/times.js';

const SOON_MS = 14 * 86_400_000;

/** Whether the guard itself is well: what it sees, who decides, and how long it may turn the flag off. */
export function GuardCard({ view }: { view: RolloutView }) {
  const now = useNow();
  const { health, tokenExpiresAt, fleet, isClosed } = view;
  const trouble = troubleIn(view);
  const token = tokenMood(tokenExpiresAt, now);
  const leader = fleet?.processes.find(({ role }) => role === 'leader' || role === 'controller');
  return (
    <Card title="The guard">
      <dl class="facts" data-testid="guard">
        <Fact name="Health" mood={isClosed ? 'warn' : health.status === 'ok' ? 'good' : 'bad'}>
          {isClosed ? 'closed: it protects nothing' : health.status === 'ok' ? 'ok' : 'blind'}{' '}
          {!isClosed && (
            <small>
              for <Since at={health.since} />
            </small>
          )}
        </Fact>
        <Fact name="Unleash" mood={trouble.length === 0 ? 'good' : 'warn'}>
          {trouble.length === 0 ? 'no problem' : trouble.join(', ')}
        </Fact>
        <Fact name="Admin token" mood={token}>
          {tokenExpiresAt === undefined ? (
            'no expiry known'
          ) : (
            <>
              {tokenExpiresAt <= now ? 'expired on' : 'until'} {dayText(tokenExpiresAt)}{' '}
              <small>{agoText(tokenExpiresAt, now)}</small>
            </>
          )}
        </Fact>
        {fleet === undefined ? (
          <Fact name="Processes" mood="good">
            this one alone
          </Fact>
        ) : (
          <>
            <Fact name="Leader" mood={leader === undefined ? 'bad' : 'good'}>
              {leader === undefined ? 'none' : <Foreign text={leader.instance} max={60} />}
            </Fact>
            <Fact name="Processes" mood={fleet.groups.every(({ sameRules }) => sameRules) ? 'good' : 'warn'}>
              {countText(fleet.groups.reduce((sum, { processes }) => sum + processes, 0))}
              {fleet.groups.some(({ sameRules }) => !sameRules) && ', not all with the same rules'}
            </Fact>
          </>
        )}
        <Fact name="Versions" mood="good">
          guard {view.guardVersion}
          {view.serviceVersion !== undefined && (
            <>
              , service <Foreign text={view.serviceVersion} max={60} />
            </>
          )}
        </Fact>
        <Fact name="Evaluated" mood={isClosed ? 'off' : 'good'}>
          <Ago at={view.at} />
        </Fact>
      </dl>
    </Card>
  );
}

function Fact({ name, mood, children }: { name: string; mood: Mood; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {mood !== 'good' && <Sign mood={mood} />} {children}
      </dd>
    </div>
  );
}

/** Codes of what is wrong with Unleash, on either side: the guard's requests, and what the service gets from it. */
function troubleIn({ health, problems, state }: RolloutView): string[] {
  const failed = state.status === 'stopping' && state.failure !== undefined ? [state.failure.code] : [];
  const unseen = health.reasons.map(({ code }) => code).filter((code) => code === 'stale-flags');
  return [...new Set([...problems.map(({ code }) => code), ...failed, ...unseen])];
}

function tokenMood(expiresAt: number | undefined, now: number): Mood {
  if (expiresAt === undefined || expiresAt - now > SOON_MS) return 'good';
  return expiresAt <= now ? 'bad' : 'warn';
}
