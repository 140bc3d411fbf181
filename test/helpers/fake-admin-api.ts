/** Unleash's admin API in memory, as a `fetch`: one flag, its history, and answers that can be made to fail. */
export class FakeAdminApi {
  enabled = true;
  /** The percentage of its one gradual rollout. */
  rollout = 10;
  readonly requests: string[] = [];
  readonly history: {
    id: number;
    type: string;
    environment: string;
    createdBy: string;
    createdAt: string;
    project?: string;
    data?: object;
  }[] = [];
  tags: { type: string; value: string }[] = [];
  readonly links: { id: string; url: string; title: string }[] = [];
  /** The personal access tokens of the token's user. */
  pats: { description: string; expiresAt: string; seenAt: string | null }[] = [];
  permissions: { permission: string; project?: string; environment?: string }[] = [{ permission: 'ADMIN' }];
  /** Answers instead of the real one; undefined: works. */
  failure: ((request: string) => Response | undefined) | undefined;

  /** The requests so far that change something. */
  get changes(): string[] {
    return this.requests.filter((request) => !request.startsWith('GET'));
  }

  /** A toggle, as a user or a token does it. */
  toggle(enabled: boolean, createdBy: string): void {
    this.enabled = enabled;
    this.history.push({
      id: this.history.length + 1,
      type: `feature-environment-${enabled ? 'enabled' : 'disabled'}`,
      environment: 'production',
      createdBy,
      createdAt: new Date().toISOString(),
    });
  }

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    init?.signal?.throwIfAborted();
    const request = `${init?.method ?? 'GET'} ${new URL(String(input instanceof Request ? input.url : input)).pathname}`;
    this.requests.push(request);
    const failure = this.failure?.(request);
    if (failure !== undefined) return failure;
    if (request.endsWith('/off')) {
      this.toggle(false, 'guard-token');
      return Response.json({});
    }
    if (request.startsWith('PATCH') && request.includes('/strategies/')) {
      this.rollout = Number(JSON.parse(String(init?.body))[0].value);
      return Response.json({});
    }
    if (request === 'GET /api/admin/user') {
      return Response.json({ user: { username: 'guard' }, permissions: this.permissions });
    }
    if (request === 'GET /api/admin/user/tokens') return Response.json({ pats: this.pats });
    if (request.startsWith('GET /api/admin/api-tokens/')) return Response.json({ tokens: [] });
    if (request.includes('/api/admin/events/')) return Response.json({ events: [...this.history].reverse() });
    if (request.startsWith('GET') && request.endsWith('/tags')) return Response.json({ tags: this.tags });
    if (request.startsWith('PUT') && request.endsWith('/tags')) {
      const { addedTags, removedTags } = JSON.parse(String(init?.body));
      const isRemoved = (tag: object) =>
        removedTags.some((removed: object) => JSON.stringify(removed) === JSON.stringify(tag));
      this.tags = [...this.tags.filter((tag) => !isRemoved(tag)), ...addedTags];
      return Response.json({});
    }
    if (request.includes('/tag-types') || request.includes('/lifecycle/')) return Response.json({});
    if (request.endsWith('/link')) {
      this.links.push({ id: String(this.links.length + 1), ...JSON.parse(String(init?.body)) });
      return new Response(null, { status: 204 });
    }
    const parameters = { rollout: String(this.rollout), stickiness: 'default', groupId: 'async-upload' };
    const strategy = { id: 'gradual', name: 'flexibleRollout', parameters, constraints: [] };
    return Response.json({
      name: 'async-upload',
      project: 'default',
      type: 'release',
      links: this.links,
      environments: [{ name: 'production', enabled: this.enabled, strategies: [strategy] }],
    });
  };
}
