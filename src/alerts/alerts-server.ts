import type { IncomingMessage, ServerResponse } from 'node:http';
import { RateLimit } from '../dashboard/server/rate-limit.js';
import { Refusal, sendJson, sendProblem } from '../dashboard/server/reply.js';
import { isReadBefore, readBytes } from '../dashboard/server/request-body.js';
import type { Alert } from '../model/control.js';
import { ALERT_PREFIX } from '../model/words/control-events.js';
import { messageOf } from '../support/async/callbacks.js';
import { parseJson } from '../support/json.js';
import { type ReceivedAlert, readAlerts, UnknownFormatError } from './alert-formats.js';
import type { AlertAction, AlertRule, ResolvedAlertsOptions } from './alert-options.js';
import type { AlertTarget } from './alert-target.js';
import { hasSignature, hasToken, isSigned } from './authenticate.js';

const MAX_BODY_BYTES = 256 * 1024;
const MAX_ALERTS = 100;
/** Notifications of one endpoint within a minute. */
const MOST_NOTIFICATIONS = 120;
/** Requests of one address without the right token or signature within a minute. */
const MOST_UNAUTHORIZED = 10;
/** Requests that are under way at once. */
const MOST_AT_ONCE = 32;
const MINUTE_MS = 60_000;

/** What became of one alert. `httpStatus` is the reply's, if it is the worst. */
interface Result {
  readonly alert: string;
  readonly status: 'firing' | 'resolved';
  readonly flag?: string | undefined;
  readonly action: AlertAction;
  readonly accepted: boolean;
  readonly message: string;
}
type Taken = readonly [result: Result, httpStatus: 200 | 404 | 429 | 503];

/** Takes alerts from monitoring systems. */
export class AlertsServer {
  readonly #targets: () => readonly AlertTarget[];
  readonly #options: ResolvedAlertsOptions;
  readonly #notifications = new RateLimit(MOST_NOTIFICATIONS, MINUTE_MS);
  readonly #unauthorized = new RateLimit(MOST_UNAUTHORIZED, MINUTE_MS);
  #atOnce = 0;

  constructor(targets: () => readonly AlertTarget[], options: ResolvedAlertsOptions) {
    this.#targets = targets;
    this.#options = options;
  }

  /** Replies to one request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    response.setHeader('x-content-type-options', 'nosniff');
    this.#atOnce++;
    try {
      if (this.#atOnce > MOST_AT_ONCE) throw busy(503, 'Too many requests at once.');
      await this.#handle(request, response);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, messageOf(error));
      if (response.headersSent) response.destroy();
      else await sendProblem(request, response, refusal).catch(() => response.destroy());
    } finally {
      this.#atOnce--;
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') throw new Refusal(405, 'Use POST.', { allow: 'POST' });
    const body = await this.#authenticated(request);
    if (!this.#notifications.use('')) throw busy(429, 'Too many notifications within a minute.');
    const alerts = received(body, this.#options.flagLabel);
    const taken: Taken[] = [];
    // One after another: a notification has them in their order.
    for (const alert of alerts) taken.push(await this.#take(alert));
    const status = Math.max(...taken.map(([, httpStatus]) => httpStatus));
    // A repetition of what was accepted changes nothing.
    if (status === 429 || status === 503) response.setHeader('retry-after', '30');
    await sendJson(request, response, { results: taken.map(([result]) => result) }, status);
  }

  /** The body, as JSON, of a sender that has the token or the secret. @throws Refusal */
  async #authenticated(request: IncomingMessage): Promise<unknown> {
    const { headers } = request;
    const { token, secret } = this.#options;
    if (token !== undefined && hasToken(headers, token)) {
      if (isReadBefore(request)) return parsedBefore(request);
      return parseJson((await readBytes(request, MAX_BODY_BYTES)).toString('utf8'));
    }
    if (secret !== undefined && isSigned(headers)) {
      const bytes = isReadBefore(request) ? rawBefore(request) : await readBytes(request, MAX_BODY_BYTES);
      if (hasSignature(headers, bytes, secret, Date.now())) return parseJson(bytes.toString('utf8'));
    }
    // The right token passes whatever else comes from its address.
    if (!this.#unauthorized.use(request.socket.remoteAddress ?? '')) {
      throw busy(429, 'Too many requests without the right token or signature.');
    }
    const needed = [
      ...(token === undefined ? [] : ['the token as "Authorization: Bearer …"']),
      ...(secret === undefined ? [] : ['a signature with the secret']),
    ];
    throw new Refusal(401, `Send ${needed.join(', or ')}.`, { 'www-authenticate': 'Bearer' });
  }

  async #take(alert: ReceivedAlert): Promise<Taken> {
    const { flagLabel } = this.#options;
    const targets = this.#targets();
    const flag = alert.labels[flagLabel] ?? (targets.length === 1 ? targets[0]!.flagKey : undefined);
    const rule = this.#ruleFor(alert);
    const { action } = rule;
    const status = alert.isFiring ? 'firing' : 'resolved';
    const result = { alert: clean(alert.name, 190), status, flag, action, accepted: false } as const;
    if (action === 'ignore') {
      return [{ ...result, accepted: true, message: 'A rule ignores it.' }, 200];
    }
    if (flag === undefined) {
      return [{ ...result, message: `It has no label "${flagLabel}" that names its flag.` }, 404];
    }
    const target = targets.find(({ flagKey }) => flagKey === flag);
    if (target === undefined) {
      return [{ ...result, message: `No flag ${JSON.stringify(flag)} is guarded here.` }, 404];
    }
    try {
      const { message } = await target.alert(alertOf(alert, action, rule.dryRun === true));
      return [{ ...result, accepted: true, message }, 200];
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === 'TOO_MANY_ALERTS';
      return [{ ...result, message: messageOf(error) }, isFull ? 429 : 503];
    }
  }

  #ruleFor({ labels }: ReceivedAlert): Pick<AlertRule, 'action' | 'dryRun'> {
    const matches = ([label, wanted]: [string, string | RegExp]) => {
      const value = Object.hasOwn(labels, label) ? labels[label] : undefined;
      return (
        value !== undefined && (typeof wanted === 'string' ? value === wanted : value.search(wanted) >= 0)
      );
    };
    const rule = this.#options.rules.find(({ match }) => Object.entries(match).every(matches));
    return rule ?? { action: 'review' };
  }
}

function received(body: unknown, flagLabel: string): readonly ReceivedAlert[] {
  let alerts: readonly ReceivedAlert[];
  try {
    alerts = readAlerts(body, flagLabel);
  } catch (error) {
    if (error instanceof UnknownFormatError) throw new Refusal(400, error.message);
    throw error;
  }
  if (alerts.length === 0) throw new Refusal(400, 'The notification has no alerts.');
  if (alerts.length <= MAX_ALERTS) return alerts;
  const hint = 'Alertmanager limits them with "max_alerts" of its webhook';
  throw new Refusal(
    413,
    `The notification has ${alerts.length} alerts, and at most ${MAX_ALERTS} are taken: ${hint}.`,
  );
}

function alertOf(alert: ReceivedAlert, action: 'review' | 'stop', dryRun: boolean): Alert {
  const name = clean(alert.name, 190) || 'unnamed';
  const summary = clean(alert.summary, 800);
  return {
    type: 'alert',
    by: alert.from,
    trigger: `${ALERT_PREFIX}${name}`,
    fingerprint: clean(alert.fingerprint, 200),
    isFiring: alert.isFiring,
    ...(alert.since === undefined ? {} : { since: alert.since }),
    action,
    ...(dryRun && { dryRun }),
    reason: summary === '' ? name : `${name}: ${summary}`,
  };
}

/** On one line, without what could rewrite a terminal, and cut. */
function clean(text: string, most: number): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\s]+/gu, ' ').trim();
  return line.slice(0, most).replace(/\p{Cs}/gu, '');
}

function busy(status: 429 | 503, message: string): Refusal {
  return new Refusal(status, `${message} Send it again in a minute.`, { 'retry-after': '60' });
}

/** What a framework's parser has made of the body. */
function parsedBefore(request: IncomingMessage): unknown {
  return 'body' in request ? request.body : undefined;
}

/** The bytes that a framework's parser has kept. @throws Refusal when it has kept none: a signature cannot be checked then. */
function rawBefore(request: IncomingMessage): Buffer {
  if ('rawBody' in request && Buffer.isBuffer(request.rawBody)) return request.rawBody;
  throw new Refusal(
    500,
    'The application has parsed the body, so that its signature cannot be checked: mount the endpoint before its body parser.',
  );
}
