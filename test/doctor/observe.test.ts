import { describe, expect, it, vi } from 'vitest';
import { observe } from '../../src/doctor/observe.js';

const target = {
  url: 'https://unleash.example.com/base/api/',
  flagKey: 'async-upload',
  project: 'a project',
  environment: 'production',
  contextFields: ['userId'],
  folder: '.',
};
const ADMIN = '*:*.made-up-secret';

describe('observe', () => {
  it('only reads, and sends each token only where it belongs', async () => {
    const requests: string[] = [];
    const fetch = async (url: unknown, init?: RequestInit) => {
      const token = new Headers(init?.headers).get('authorization') ?? 'no token';
      requests.push(`${init?.method} ${String(url)} ${token}`);
      return Response.json({});
    };
    await observe({ ...target, clientToken: 'default:production.x', adminToken: ADMIN, fetch });
    const base = 'https://unleash.example.com/base';
    expect(requests.sort()).toEqual(
      [
        `GET ${base}/health no token`,
        `GET ${base}/api/client/features default:production.x`,
        `GET ${base}/api/admin/user ${ADMIN}`,
        `GET ${base}/api/admin/user ${ADMIN}`,
        `GET ${base}/api/admin/events/async-upload ${ADMIN}`,
        `GET ${base}/api/admin/projects/a%20project/features/async-upload ${ADMIN}`,
        `GET ${base}/api/admin/projects/a%20project/change-requests/config ${ADMIN}`,
      ].sort(),
    );
  });

  it('sends no request for a missing or malformed token', async () => {
    const fetch = vi.fn(async () => Response.json({ health: 'GOOD' }));
    const tokens = { clientToken: ADMIN, adminToken: 'default:production.x' };
    const { features, clientTokenProblem, admin } = await observe({ ...target, ...tokens, fetch });
    expect(features).toBeUndefined();
    expect(clientTokenProblem).toContain('this is an admin token');
    expect(admin?.tokenProblem).toContain('client or frontend token');
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it('reads the clock halfway between request and answer', async () => {
    let now = 1_000_000;
    const clock = { now: () => now, monotonic: () => now };
    const fetch = async () => {
      now += 400;
      return Response.json({}, { headers: { date: new Date(77_000).toUTCString() } });
    };
    const { health } = await observe({ ...target, fetch, clock });
    expect(health).toMatchObject({ serverDate: 77_000, localDate: 1_000_200 });
  });

  it('observes that there is no reply', async () => {
    const fetch = async () => {
      throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ENOTFOUND' } });
    };
    const seen = await observe({ ...target, clientToken: 'x', adminToken: ADMIN, fetch });
    expect(seen.health).toEqual({ noAnswer: 'ENOTFOUND' });
    expect(seen.features).toEqual({ noAnswer: 'ENOTFOUND' });
    expect(seen.admin).toMatchObject({ user: { noAnswer: 'ENOTFOUND' } });
    expect(seen.admin).toHaveProperty(
      'flag',
      expect.objectContaining({ name: 'AdminError', code: 'ADMIN_UNAVAILABLE' }),
    );
  });
});
