import { apiPathAdvice, clientFeaturesUrl, clientUrlProblem } from '../unleash/client-api.js';
import { type Finding, findingsOf } from './finding.js';
import type { Observations } from './observations.js';
import { readFeatures } from './observed-replies.js';

/** Whether the service's token reads the flags of the right project and environment. */
export function checkClientToken({ target, features: answer, clientTokenProblem }: Observations): Finding {
  const { ok, warn, fail, unknown } = findingsOf('client-token');
  const { project, environment } = target;
  const wanted = `Create a client (backend) token for project "${project}" and environment "${environment}" in Unleash.`;
  if (clientTokenProblem !== undefined) {
    return fail(`The client token cannot be used: ${clientTokenProblem}.`, wanted);
  }
  if (answer === undefined) {
    return unknown('No client token was given.', 'Set UNLEASH_CLIENT_TOKEN to have it checked.');
  }
  if (clientUrlProblem(target.url) !== undefined) {
    return unknown('It could not be checked: the URL is not one for SDKs.');
  }
  if ('noAnswer' in answer) {
    return unknown(`It could not be checked: Unleash does not answer (${answer.noAnswer}).`);
  }
  if (answer.status === 401) {
    return fail(
      'Unleash does not accept the client token: it is wrong, deleted or expired.',
      withAdvice(wanted, target.url),
    );
  }
  if (answer.status === 403) {
    return fail(
      'This is not a client token: Unleash lets it read no flags for SDKs.',
      withAdvice(wanted, target.url),
    );
  }
  const features = readFeatures(answer);
  if (features === undefined) {
    const { pathname } = new URL(clientFeaturesUrl(target.url));
    return unknown(
      `It could not be checked: ${answer.status} to GET ${pathname}.`,
      apiPathAdvice(target.url),
    );
  }
  const { query } = features;
  if (query?.environment !== undefined && query.environment !== environment) {
    return fail(
      `The client token reads environment "${query.environment}", and the guard will turn the flag off in "${environment}".`,
      wanted,
    );
  }
  const projects = [query?.project ?? []].flat();
  if (projects.length > 0 && !projects.includes('*') && !projects.includes(project)) {
    const names = projects.map((name) => `"${name}"`).join(', ');
    return fail(`The client token reads project ${names}, not "${project}".`, wanted);
  }
  if (query?.environment === undefined) {
    return warn(
      'Unleash accepts the client token, but does not report its environment.',
      `Check that it is for "${environment}".`,
    );
  }
  return ok(`The client token reads project "${project}" in "${environment}".`);
}

function withAdvice(fix: string, url: string): string {
  const advice = apiPathAdvice(url);
  return advice === undefined ? fix : `${advice} Otherwise: ${fix}`;
}
