import { withoutTrailingSlashes } from '../support/connection/http-schemas.js';
import { tokenFormProblem } from './token-form.js';

/** Which flags a token for SDKs reads, as far as its form shows it. */
export interface TokenScope {
  /** Undefined for all projects, and for several. */
  readonly project: string | undefined;
  readonly environment: string | undefined;
}

/** `project:environment.secret`; `[]` stands for several projects. An admin token has `*` for both. */
const API_TOKEN = /^(?<project>[^:\s]+):(?<environment>[^.:\s]+)\.\S+$/;

/** The scope of a client token; undefined for every other form. */
export function tokenScope(token: string): TokenScope | undefined {
  const { project, environment } = API_TOKEN.exec(token)?.groups ?? {};
  if (project === undefined || environment === undefined || environment === '*') return undefined;
  return { project: project === '*' || project === '[]' ? undefined : project, environment };
}

const WANTED = 'a client token, also called backend token ("project:environment.…")';

/**
 * What is wrong with a token for SDKs, as far as its form shows it. An unknown form is not refused here: Unleash, or what
 * stands in front of it, decides.
 *
 * @returns a sentence that never repeats the token; undefined when nothing is wrong.
 */
export function clientTokenProblem(token: string): string | undefined {
  // What a gateway in front of Unleash may ask for.
  if (/^(bearer|basic) [\x21-\x7e]+$/i.test(token) && !/^bearer (user:|\S+:\S+\.)/i.test(token))
    return undefined;
  const problem = tokenFormProblem(token, WANTED);
  if (problem !== undefined) return problem;
  if (token.startsWith('user:')) return `this is a personal access token; expected ${WANTED}`;
  if (/^[^:\s]+:\*\.\S+$/.test(token)) return `this is an admin token; expected ${WANTED}`;
  return undefined;
}

/**
 * What is wrong with an address for SDKs, which add `/client/features` to it, as far as its form shows it. Any other path is
 * allowed, as a gateway may serve Unleash's API anywhere.
 *
 * @param url - With its scheme.
 * @param isForSdks - Whether the token that goes with it must be one for SDKs.
 * @returns a sentence with the address to use instead; undefined when nothing is wrong.
 */
export function clientUrlProblem(url: string, isForSdks = true): string | undefined {
  const { origin, pathname, username, password, search, hash } = new URL(url);
  const path = withoutTrailingSlashes(pathname);
  const instead = (prefix: string) => `use ${origin}${prefix}/api`;
  const withToken = isForSdks ? ', with a backend token' : '';
  if (username !== '' || password !== '') return 'a user and password in it are not sent: leave them out';
  if (search !== '' || hash !== '') return 'what follows "?" or "#" is not sent: leave it out';
  if (path === '') return `the API of Unleash is one level below: ${instead('')}`;
  const api = /^(?<prefix>.*?)\/api\/(?<rest>frontend|proxy|admin|client)(?:\/.*)?$/i.exec(path)?.groups;
  const prefix = api?.prefix ?? '';
  switch (api?.rest?.toLowerCase()) {
    case 'frontend':
    case 'proxy':
      return `this is the frontend API, for browsers, which sends no definitions of flags: ${instead(prefix)}${withToken}`;
    case 'admin':
      return isForSdks
        ? `this is the admin API, which SDKs cannot use: ${instead(prefix)}, with a client token`
        : `"/admin" is added to it: ${instead(prefix)}`;
    case 'client':
      return isForSdks
        ? `SDKs add "/client" themselves: ${instead(prefix)}`
        : `"/client" is of SDKs: ${instead(prefix)}`;
  }
  const proxy = /^(?<prefix>.*)\/proxy$/i.exec(path)?.groups?.prefix;
  if (proxy !== undefined) {
    return (
      'this is an Unleash Proxy, or an Edge as browsers use it, which sends no definitions of flags: ' +
      `${instead(proxy)} of Unleash${isForSdks ? ' or Edge' : ''}${withToken}`
    );
  }
  const page = /^(?<prefix>.*?)\/(?:projects\/.*|login)$/.exec(path)?.groups?.prefix;
  return page === undefined ? undefined : `this is a page of Unleash's UI: ${instead(page)}`;
}

/** Where SDKs that are given an address read the flags. */
export function clientFeaturesUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${withoutTrailingSlashes(pathname)}/client/features`;
}

/** Advice for an address that does not work, and whose form does not show why. */
export function apiPathAdvice(url: string): string | undefined {
  const path = withoutTrailingSlashes(new URL(url).pathname);
  return /\/api$/i.test(path)
    ? undefined
    : `The URL's path is "${path}": that of Unleash's API ends in "/api".`;
}
