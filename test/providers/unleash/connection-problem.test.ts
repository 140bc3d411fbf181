import { describe, expect, it } from 'vitest';
import { connectionProblem, type Problem } from '../../../providers/unleash/client/connection-problem.js';

const features = 'http://unleash.example.com/api/client/features';
const repositoryError = (message: string) => new Error(`Unleash Repository error: ${message}`);

describe('connectionProblem', () => {
  it.each<[Problem['kind'], 'error' | 'warn', unknown]>([
    [
      'refused',
      'error',
      repositoryError(`${features} responded 401 which means your API key is not allowed to connect.`),
    ],
    [
      'refused',
      'error',
      repositoryError(`${features} responded 403 which means your API key is not allowed to connect.`),
    ],
    [
      'lost',
      'error',
      repositoryError(`request to ${features} failed, reason: connect ECONNREFUSED 127.0.0.1:80`),
    ],
    ['lost', 'error', repositoryError('Response was not statusCode 2XX, but was 418')],
    ['lost', 'warn', `${features} responded FILE_NOT_FOUND (404). Backing off`],
    ['lost', 'warn', `${features} responded TOO_MANY_CONNECTIONS (429). Backing off`],
    ['lost', 'warn', `${features} responded 503. Backing off`],
    ['lost', 'warn', 'Socket keep alive error, retrying in 1000ms'],
    ['other', 'error', repositoryError('feature.strategies should be an array, but was undefined')],
    [
      'other',
      'error',
      Object.assign(repositoryError('EACCES: /tmp/backup'), { path: '/tmp/backup', syscall: 'open' }),
    ],
    ['other', 'error', new Error('Unleash Metrics error: responded 401')],
    ['other', 'error', new Error('The unleash SDK has been initialized more than 10 times')],
    ['other', 'error', 'a string'],
    [
      'other',
      'warn',
      'http://unleash.example.com/api/client/metrics returning 503. Backing off to 1 times normal interval',
    ],
    ['other', 'warn', 'Unleash SDK was unable to load bootstrap.\nMessage: responded 404. Backing off?'],
    ['other', 'warn', new Error('responded 503. Backing off')],
    ['other', 'warn', undefined],
  ])('reads as %s the %s event %s', (kind, event, subject) => {
    expect(connectionProblem(event, subject).kind).toBe(kind);
  });

  it('names the kind of token that is needed', () => {
    const { message } = connectionProblem('error', repositoryError(`${features} responded 403 which means`));

    expect(message).toMatch(
      /\(403\).*backend token, also called client token, of the environment.*not an admin/,
    );
  });

  it('tells a token that is not known from one of another kind', () => {
    const { message } = connectionProblem('error', repositoryError(`${features} responded 401 which means`));

    expect(message).toContain('(401): it is wrong, deleted or expired.');
  });

  it.each([
    repositoryError('Invalid API response: "hello"'),
    repositoryError(`invalid json response body at ${features} reason: Unexpected token '<'`),
    new TypeError("Unleash Repository error: Cannot read properties of null (reading 'strategies')"),
  ])('explains an answer that is not that of Unleash: %s', (error) => {
    expect(connectionProblem('error', error)).toEqual({
      kind: 'lost',
      message: expect.stringContaining('Check that the URL is that of Unleash itself'),
    });
  });

  it('quotes neither the whole answer nor any long text', () => {
    const body = JSON.stringify({ secrets: 'x'.repeat(10_000) });
    const answer = repositoryError(`Client features was neither a delta nor a full response: ${body}`);

    expect(connectionProblem('error', answer)).toEqual({
      kind: 'lost',
      message: expect.stringMatching(/^Unleash answered with something unexpected, which has no flags\./),
    });
    expect(connectionProblem('error', repositoryError(body)).message.length).toBeLessThan(600);
  });

  it('shows no credentials of a URL', () => {
    const { message } = connectionProblem(
      'warn',
      'https://me:secret@unleash.example.com responded 503. Backing off',
    );

    expect(message).toBe('https://…@unleash.example.com responded 503. Backing off');
  });
});
