import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { EmbeddedUnleashError } from './embedded-unleash-error.js';

/** A strategy in the form of Unleash's admin API. */
export interface EmbeddedStrategy {
  /** For example `flexibleRollout` or `default`. */
  readonly name: string;
  /** The strategy's parameters, for example `{ rollout: '50', stickiness: 'default', groupId: 'async-upload' }`; all values are text. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Constraints in Unleash's form, all of which must hold. */
  readonly constraints?: readonly Readonly<Record<string, unknown>>[];
  /** Variants of the strategy in Unleash's form. */
  readonly variants?: readonly Readonly<Record<string, unknown>>[];
  /** The ids of its segments. */
  readonly segments?: readonly number[];
  /** Its title in the UI. */
  readonly title?: string | null;
  /** Shown in the UI and not evaluated. @default false */
  readonly disabled?: boolean;
}

/** What {@link AdminUser.createFlag} accepts beside the flag's key. */
export interface NewFlag {
  /** The gradual rollout's percentage, 0–100. @default 100 */
  readonly percentage?: number | undefined;
  /** Whether the flag is on. @default true */
  readonly enabled?: boolean | undefined;
  /** What the rollout sticks to: `default`, `userId`, `sessionId`, `random` or a custom field. @default 'default' */
  readonly stickiness?: string | undefined;
  /** Unleash's flag type. @default 'release' */
  readonly type?: 'release' | 'experiment' | 'operational' | 'kill-switch' | 'permission' | undefined;
  /** The flag's description in the UI. */
  readonly description?: string | undefined;
  /** These strategies instead of one gradual rollout. */
  readonly strategies?: readonly EmbeddedStrategy[] | undefined;
}

/** A flag in one environment, as Unleash's admin API shows it. */
export interface EmbeddedFlag {
  /** The flag's name. */
  readonly name: string;
  /** Unleash's flag type, for example `release`. */
  readonly type: string;
  /** Whether it is on in the environment. */
  readonly enabled: boolean;
  /** Its strategies in the environment, with their ids. */
  readonly strategies: readonly (Required<EmbeddedStrategy> & { readonly id: string })[];
  /** The flag's tags. */
  readonly tags: readonly { readonly type: string; readonly value: string }[];
  /** The flag's links, as its page in the UI shows them. */
  readonly links: readonly { readonly url: string; readonly title: string | undefined }[];
}

const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? undefined);

const strategyAnswer = z.object({
  id: z.string(),
  name: z.string(),
  title: z.string().nullable().default(null),
  disabled: z.boolean().default(false),
  parameters: z.record(z.string(), z.string()).default({}),
  constraints: z.array(z.record(z.string(), z.unknown())).default([]),
  variants: z.array(z.record(z.string(), z.unknown())).default([]),
  segments: z.array(z.number()).default([]),
});

const flagAnswer = z.object({
  name: z.string(),
  type: z.string(),
  environments: z.array(
    z.object({ name: z.string(), enabled: z.boolean(), strategies: z.array(strategyAnswer).default([]) }),
  ),
  links: z.array(z.object({ url: z.string(), title: optionalText })).default([]),
});

const tagsAnswer = z.object({ tags: z.array(z.object({ type: z.string(), value: z.string() })) });

const eventAnswer = z.object({
  /** Ascending in the order in which things happened. */
  id: z.number(),
  /** For example `feature-environment-disabled`. */
  type: z.string(),
  /** The user's name, or the token's. */
  createdBy: z.string(),
  /** Milliseconds since 1970. */
  createdAt: z.string().transform(Date.parse),
  /** Undefined for what concerns all environments. */
  environment: optionalText,
  /** What changed, in Unleash's form. */
  data: z.unknown(),
});

const historyAnswer = z.object({ events: z.array(eventAnswer) });

/** One entry of a flag's history. */
export interface EmbeddedEvent extends Readonly<z.infer<typeof eventAnswer>> {}

/** For SDKs, Unleash notices changes every second: on a machine that is busy, or a database that is, later. */
const REACHES_SDKS_WITHIN_MS = 60_000;

const clientAnswer = z.object({ meta: z.object({ revisionId: z.number() }) });

/**
 * Does what an operator does in Unleash's UI: signed in with name and password, so that the history names the user. What
 * changes a flag resolves when SDKs that ask Unleash get the change: within about a second after Unleash has it.
 */
export interface AdminUser {
  /** Creates a flag: by default a gradual rollout to 100 %, on. */
  createFlag(key: string, flag?: NewFlag): Promise<void>;
  /** Moves the percentage (0–100) of the flag's gradual rollout. */
  setPercentage(key: string, percentage: number): Promise<void>;
  /** Adds a strategy after the others. */
  addStrategy(key: string, strategy: EmbeddedStrategy): Promise<void>;
  /** Turns the flag on. */
  enable(key: string): Promise<void>;
  /** Turns the flag off. */
  disable(key: string): Promise<void>;
  /** The flag as it is in the environment. */
  flag(key: string): Promise<EmbeddedFlag>;
  /** What happened to the flag and who did it, newest first. */
  history(key: string): Promise<EmbeddedEvent[]>;
  /** Any other request to the admin API as the admin user; `path` begins with `/api/admin/`. */
  request(method: string, path: string, body?: unknown): Promise<unknown>;
}

/** An admin user of the Unleash at `url`, who signs in before the first request. */
export function adminUser({
  url,
  user,
  project,
  environment,
  clientToken,
  whyUnreachable,
}: {
  readonly url: string;
  readonly user: { readonly username: string; readonly password: string };
  readonly project: string;
  readonly environment: string;
  /** A token for SDKs that reads `environment`. */
  readonly clientToken: string;
  /** What is known of a server that does not reply. */
  readonly whyUnreachable: () => Promise<Error | undefined>;
}): AdminUser {
  let cookie: string | undefined;
  const featuresPath = `/api/admin/projects/${project}/features`;
  const featurePath = (key: string) => `${featuresPath}/${encodeURIComponent(key)}`;
  const inEnvironment = (key: string) => `${featurePath(key)}/environments/${environment}`;

  async function send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const sent = fetch(`${url}${path}`, {
      method,
      ...(body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const response = await sent.catch(async (error: unknown) => {
      throw (await whyUnreachable()) ?? error;
    });
    if (response.ok) return response;
    throw new EmbeddedUnleashError(
      'REQUEST_FAILED',
      `Unleash answered ${response.status} to ${method} ${path}: ${await response.text()}`,
    );
  }

  async function signIn(): Promise<string> {
    const response = await send('POST', '/auth/simple/login', user);
    await response.arrayBuffer();
    return response.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';')[0])
      .join('; ');
  }

  async function request(method: string, path: string, body?: unknown): Promise<unknown> {
    cookie ??= await signIn();
    const response = await send(method, path, body, { cookie });
    const text = await response.text();
    return text === '' ? undefined : JSON.parse(text);
  }

  async function flag(key: string): Promise<EmbeddedFlag> {
    const { name, type, environments, links } = flagAnswer.parse(await request('GET', featurePath(key)));
    const tagsPath = `/api/admin/features/${encodeURIComponent(key)}/tags`;
    const { tags } = tagsAnswer.parse(await request('GET', tagsPath));
    const { enabled = false, strategies = [] } = environments.find(({ name }) => name === environment) ?? {};
    return { name, type, enabled, strategies, tags, links };
  }

  async function history(key: string): Promise<EmbeddedEvent[]> {
    const reply = await request('GET', `/api/admin/events/${encodeURIComponent(key)}`);
    return historyAnswer.parse(reply).events.sort((a, b) => b.id - a.id);
  }

  /** Changes a flag, and waits until Unleash's revision for SDKs contains the change. */
  async function change(key: string, make: () => Promise<unknown>): Promise<void> {
    await make();
    // Others, such as a link or a favourite, are in no revision.
    const isInRevision = (event: EmbeddedEvent) =>
      event.type === 'feature-created' || event.environment === environment;
    const latest = (await history(key)).find(isInRevision)?.id ?? 0;
    const path = `/api/client/features?namePrefix=${encodeURIComponent(key)}`;
    const until = performance.now() + REACHES_SDKS_WITHIN_MS;
    while (true) {
      const response = await send('GET', path, undefined, { authorization: clientToken });
      if (clientAnswer.parse(await response.json()).meta.revisionId >= latest) return;
      if (performance.now() > until) {
        throw new EmbeddedUnleashError(
          'REQUEST_FAILED',
          `Unleash did not give SDKs the change of "${key}" within ${REACHES_SDKS_WITHIN_MS / 1_000} s.`,
        );
      }
      await pause(50);
    }
  }

  function addStrategy(key: string, strategy: EmbeddedStrategy): Promise<unknown> {
    return request('POST', `${inEnvironment(key)}/strategies`, strategy);
  }

  function turn(key: string, state: 'on' | 'off'): Promise<unknown> {
    return request('POST', `${inEnvironment(key)}/${state}`);
  }

  return {
    request,
    flag,
    history,
    addStrategy: (key, strategy) => change(key, () => addStrategy(key, strategy)),
    enable: (key) => change(key, () => turn(key, 'on')),
    disable: (key) => change(key, () => turn(key, 'off')),

    createFlag: (key, flag = {}) =>
      change(key, async () => {
        const { percentage = 100, stickiness = 'default', type = 'release', description = '' } = flag;
        const rollout: EmbeddedStrategy = {
          name: 'flexibleRollout',
          parameters: { rollout: String(percentage), stickiness, groupId: key },
        };
        await request('POST', featuresPath, { name: key, type, description });
        for (const strategy of flag.strategies ?? [rollout]) await addStrategy(key, strategy);
        if (flag.enabled ?? true) await turn(key, 'on');
      }),

    setPercentage: (key, percentage) =>
      change(key, async () => {
        const { strategies } = await flag(key);
        const strategy = strategies.find(({ name }) => name === 'flexibleRollout');
        if (strategy === undefined) {
          throw new EmbeddedUnleashError(
            'REQUEST_FAILED',
            `"${key}" has no flexibleRollout strategy to set a percentage of.`,
          );
        }
        await request('PUT', `${inEnvironment(key)}/strategies/${strategy.id}`, {
          ...strategy,
          parameters: { ...strategy.parameters, rollout: String(percentage) },
        });
      }),
  };
}
