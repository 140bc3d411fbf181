import { randomUUID } from 'node:crypto';
import type { SharedUnleash } from './test-run.js';

/** Ids of Unleash's own root roles. */
export const ROOT_ROLES = { editor: 2, viewer: 3 } as const;

/** A personal access token of a new user with that root role, which expires in an hour. Each call makes another user. */
export async function personalToken(
  unleash: SharedUnleash,
  name: string,
  role: keyof typeof ROOT_ROLES,
): Promise<string> {
  const password = 'Made-up-pass-1!';
  const username = `${name}-${randomUUID().slice(0, 8)}`;
  const user = { username, name: username, email: `${username}@example.com`, password };
  const rootRole = ROOT_ROLES[role];
  await unleash.request('POST', '/api/admin/user-admin', { ...user, rootRole, sendEmail: false });
  const post = (path: string, body: object, cookie = '') =>
    fetch(`${unleash.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie },
      body: JSON.stringify(body),
    });
  const login = await post('/auth/simple/login', { username, password });
  const cookie = login.headers.get('set-cookie')!.split(';')[0]!;
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const answer = await post('/api/admin/user/tokens', { description: 'test', expiresAt }, cookie);
  if (answer.status !== 201) throw new Error(`Unleash made no token: ${answer.status}`);
  return ((await answer.json()) as { secret: string }).secret;
}
