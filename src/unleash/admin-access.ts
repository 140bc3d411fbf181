import { withoutTrailingSlashes } from '../support/connection/http-schemas.js';
import { clientUrlProblem } from './client-api.js';
import { tokenFormProblem } from './token-form.js';

/** The base address of Unleash's UI and API, from one that may end in `/api`. */
export function baseUrlOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + withoutTrailingSlashes(pathname).replace(/\/api$/i, '');
}

/**
 * What is wrong with an address of Unleash, as far as its form shows it; for what needs no `/api` at its end.
 *
 * @param url - With its scheme.
 * @returns a phrase with the address to use instead; undefined when nothing is wrong.
 */
export function unleashUrlProblem(url: string): string | undefined {
  const { pathname, search, hash } = new URL(url);
  return pathname === '/' && search === '' && hash === '' ? undefined : clientUrlProblem(url, false);
}

/** A flag's page in Unleash's UI. */
export function flagPageUrl({ url, project }: { url: string; project: string }, flagKey: string): string {
  return `${baseUrlOf(url)}/projects/${encodeURIComponent(project)}/features/${encodeURIComponent(flagKey)}`;
}

/** `project:environment.secret`; an admin token has `*` for both, and a user's token begins with `user:`. */
const API_TOKEN = /^(?<project>[^:\s]+):(?<environment>[^.\s]+)\.\S+$/;
const WANTED = 'an admin token ("*:*.…"), a personal access token or a service account\'s token ("user:…")';

/**
 * What is wrong with a token for the admin API, as far as its form shows it: the form of Unleash's tokens shows their kind.
 * An unknown form is not refused here; Unleash decides.
 *
 * @returns a sentence that never repeats the token; undefined when nothing is wrong.
 */
export function adminTokenProblem(token: string): string | undefined {
  const problem = tokenFormProblem(token, WANTED);
  if (problem !== undefined) return problem;
  if (token.startsWith('user:')) return undefined;
  const environment = API_TOKEN.exec(token)?.groups?.environment;
  if (environment === undefined || environment === '*') return undefined;
  return `this is a client or frontend token, which can only read flags; expected ${WANTED}`;
}
