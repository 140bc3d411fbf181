import { z } from 'zod';
import { EmbeddedUnleashError } from './unleash-start-error.js';

/** A strategy in the form of Unleash's admin API. */
export interface EmbeddedStrategy {
  /** For example `flexibleRollout` or `default`. */
  readonly name: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly constraints?: readonly Readonly<Record<string, unknown>>[];
  readonly variants?: readonly Readonly<Record<string, unknown>>[];
  readonly segments?: readonly number[];
  readonly title?: string | null;
  /** Shown in the UI and not evaluated. @default false */
  readonly disabled?: boolean;
}

/** A flag in one environment, as Unleash's admin API shows it. */
export interface EmbeddedFlag {
  readonly name: string;
  readonly type: string;
  readonly enabled: boolean;
  readonly strategies: readonly (Required<EmbeddedStrategy> & { readonly id: string })[];
  readonly tags: readonly { readonly type: string; readonly value: string }[];
  readonly links: readonly { readonly url: string; readonly title: string | undefined }[];
}

/** One entry of a flag's history. */
export interface EmbeddedEvent {
  readonly id: number;
  /** For example `feature-environment-disabled`. */
  readonly type: string;
  /** The user's name, or the token's. */
  readonly createdBy: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly environment: string | undefined;
  readonly data: unknown;
}

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
  links: z.array(z.object({ url: z.string(), title: z.string().nullish() })).default([]),
});

const tagsAnswer = z.object({ tags: z.array(z.object({ type: z.string(), value: z.string() })) });

const historyAnswer = z.object({
  events: z.array(
    z.object({
      id: z.number(),
      type: z.string(),
      createdBy: z.string(),
      createdAt: z.string(),
      environment: z.string().nullish(),
      data: z.unknown(),
    }),
  ),
});

/** Does what an operator does in Unleash's UI: signed in with name and password, so that the history names the user. */
export class AdminUser {
  readonly #url: string;
  readonly #user: { readonly username: string; readonly password: string };
  readonly #project: string;
  readonly #environment: string;
  #cookie: string | undefined;

  constructor(options: {
    url: string;
    user: { username: string; password: string };
    project: string;
    environment: string;
  }) {
    this.#url = options.url;
    this.#user = options.user;
    this.#project = options.project;
    this.#environment = options.environment;
  }

  /** Creates a flag without strategies, off. */
  async createFlag(key: string, type: string, description: string): Promise<void> {
    await this.request('POST', `/api/admin/projects/${this.#project}/features`, {
      name: key,
      type,
      description,
    });
  }

  async addStrategy(key: string, strategy: EmbeddedStrategy): Promise<void> {
    await this.request('POST', this.#strategies(key), strategy);
  }

  async setPercentage(key: string, percentage: number): Promise<void> {
    const { strategies } = await this.flag(key);
    const strategy = strategies.find(({ name }) => name === 'flexibleRollout');
    if (strategy === undefined) {
      throw new EmbeddedUnleashError(
        'REQUEST_FAILED',
        `"${key}" has no flexibleRollout strategy to set a percentage of.`,
      );
    }
    await this.request('PUT', `${this.#strategies(key)}/${strategy.id}`, {
      ...strategy,
      parameters: { ...strategy.parameters, rollout: String(percentage) },
    });
  }

  async turn(key: string, state: 'on' | 'off'): Promise<void> {
    await this.request('POST', `${this.#inEnvironment(key)}/${state}`);
  }

  async flag(key: string): Promise<EmbeddedFlag> {
    const answer = flagAnswer.parse(await this.request('GET', this.#feature(key)));
    const tagsPath = `/api/admin/features/${encodeURIComponent(key)}/tags`;
    const { tags } = tagsAnswer.parse(await this.request('GET', tagsPath));
    const inEnvironment = answer.environments.find(({ name }) => name === this.#environment);
    return {
      name: answer.name,
      type: answer.type,
      enabled: inEnvironment?.enabled ?? false,
      strategies: inEnvironment?.strategies ?? [],
      tags,
      links: answer.links.map(({ url, title }) => ({ url, title: title ?? undefined })),
    };
  }

  /** Newest first. */
  async history(key: string): Promise<EmbeddedEvent[]> {
    const { events } = historyAnswer.parse(
      await this.request('GET', `/api/admin/events/${encodeURIComponent(key)}`),
    );
    return events
      .map((event) => ({
        ...event,
        createdAt: Date.parse(event.createdAt),
        environment: event.environment ?? undefined,
        data: event.data,
      }))
      .sort((a, b) => b.id - a.id);
  }

  /** Any request to the admin API, as this user. @returns the reply's JSON; undefined when it has no body. */
  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    this.#cookie ??= await this.#signIn();
    const response = await this.#send(method, path, body, { cookie: this.#cookie });
    const text = await response.text();
    return text === '' ? undefined : JSON.parse(text);
  }

  async #signIn(): Promise<string> {
    const response = await this.#send('POST', '/auth/simple/login', this.#user);
    await response.arrayBuffer();
    return response.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';')[0])
      .join('; ');
  }

  async #send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Response> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    throw new EmbeddedUnleashError(
      'REQUEST_FAILED',
      `Unleash answered ${response.status} to ${method} ${path}: ${await response.text()}`,
    );
  }

  #feature(key: string): string {
    return `/api/admin/projects/${this.#project}/features/${encodeURIComponent(key)}`;
  }

  #inEnvironment(key: string): string {
    return `${this.#feature(key)}/environments/${this.#environment}`;
  }

  #strategies(key: string): string {
    return `${this.#inEnvironment(key)}/strategies`;
  }
}
