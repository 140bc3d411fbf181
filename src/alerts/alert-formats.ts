import { createHash } from 'node:crypto';
import { z } from 'zod';

/** An alert as it was received, of whichever sender. */
export interface ReceivedAlert {
  /** The sender's product. */
  readonly from: string;
  readonly name: string;
  readonly fingerprint: string;
  readonly isFiring: boolean;
  /** When it began to fire, in milliseconds since 1970. */
  readonly since: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

/** A body that cannot be read; the message is for whoever configures the sender. */
export class UnknownFormatError extends Error {
  override readonly name = 'UnknownFormatError';
}

/** What no format has. */
const SUPPORTED =
  'Supported: Alertmanager (webhook, version 4), Grafana, Datadog, and { "alert", "status" }.';

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const labels = z
  .record(z.string(), scalar)
  .nullish()
  .transform((given) => given ?? {});
const status = z.enum(['firing', 'resolved'], { error: "'firing' or 'resolved'" });
/** Alertmanager's zero is the year 1. */
const time = z
  .string()
  .optional()
  .transform((text) => {
    const at = Date.parse(text ?? '');
    return at > 0 ? at : undefined;
  });

const alertmanagerSchema = z.object({
  receiver: z.string().optional(),
  alerts: z.array(
    z.object({ status, labels, annotations: labels, startsAt: time, fingerprint: z.string().optional() }),
  ),
});

/** https://docs.datadoghq.com/integrations/webhooks/: the fields of its default payload, and those that docs/alerts.md adds. */
const datadogSchema = z.object({
  title: z.string(),
  event_type: z.string().optional(),
  alert_id: scalar.optional(),
  alert_transition: z.string().optional(),
  alert_cycle_key: scalar.optional(),
  alert_scope: z.string().optional(),
  tags: z.string().optional(),
});

const plainSchema = z.object({
  alert: z.string({ error: 'the name of the alert' }).regex(/\S/, { error: 'the name of the alert' }),
  status,
  message: z.string().optional(),
  labels,
  flag: z.string().optional(),
  fingerprint: z.string().optional(),
  since: time,
});

/**
 * The alerts of a body.
 *
 * @throws UnknownFormatError that says what is wrong with it.
 */
export function readAlerts(body: unknown, flagLabel: string): readonly ReceivedAlert[] {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new UnknownFormatError(`The body is not a JSON object. ${SUPPORTED}`);
  }
  if ('alerts' in body) {
    // Grafana sends what Alertmanager does, and more.
    const from = 'orgId' in body || ('state' in body && 'title' in body) ? 'Grafana' : 'Alertmanager';
    return parse(alertmanagerSchema, body, from).alerts.map((alert) => ofAlertmanager(alert, from));
  }
  if ('alert' in body) return [ofPlain(parse(plainSchema, body, 'alert'), flagLabel)];
  if ('alert_transition' in body || 'event_type' in body) {
    return [ofDatadog(parse(datadogSchema, body, 'Datadog'))];
  }
  throw new UnknownFormatError(`The body has none of the formats. ${SUPPORTED}`);
}

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown, from: string): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'the body' : issue.path.join('.');
  throw new UnknownFormatError(`The body is of ${from}, and ${where} is not as expected: ${issue?.message}.`);
}

function ofAlertmanager(
  {
    status,
    labels,
    annotations,
    startsAt,
    fingerprint,
  }: z.output<typeof alertmanagerSchema>['alerts'][number],
  from: string,
): ReceivedAlert {
  const name = labels.alertname ?? 'unnamed';
  const { summary, description, message } = annotations;
  return {
    from,
    name,
    fingerprint: `${from}:${fingerprint || digestOf(labels)}`,
    isFiring: status === 'firing',
    since: startsAt,
    labels,
    summary: summary ?? description ?? message ?? '',
  };
}

function ofPlain(
  { alert, status, message, labels, flag, fingerprint, since }: z.output<typeof plainSchema>,
  flagLabel: string,
): ReceivedAlert {
  const all = { alertname: alert, ...labels, ...(flag === undefined ? {} : { [flagLabel]: flag }) };
  return {
    from: 'a webhook',
    name: alert,
    fingerprint: `webhook:${fingerprint ?? digestOf(all)}`,
    isFiring: status === 'firing',
    since,
    labels: all,
    summary: message ?? '',
  };
}

const DATADOG_STATUS = /^\[([\w\s-]+?)(?: on [^\]]*)?\]\s*/;

function ofDatadog(event: z.output<typeof datadogSchema>): ReceivedAlert {
  const { title, alert_transition, alert_cycle_key, alert_id, alert_scope, tags = '' } = event;
  const transition = alert_transition ?? DATADOG_STATUS.exec(title)?.[1] ?? '';
  if (transition === '') {
    throw new UnknownFormatError(
      'The body is of Datadog, and says not whether the alert fires: add "alert_transition": "$ALERT_TRANSITION" to its payload.',
    );
  }
  const name = title.replace(DATADOG_STATUS, '');
  const pairs = tags.split(',').flatMap((tag) => {
    const [key, ...value] = tag.trim().split(':');
    return key ? [[key, value.join(':')] as const] : [];
  });
  const labels = { ...Object.fromEntries(pairs), alertname: name, transition };
  // The event's own id is another one for each notification.
  const about = alert_id === undefined ? name : `${alert_id}:${alert_scope ?? ''}`;
  return {
    from: 'Datadog',
    name,
    fingerprint: `Datadog:${alert_cycle_key ?? digestOf({ about })}`,
    isFiring: !/^recovered$/i.test(transition.trim()),
    since: undefined,
    labels,
    summary: '',
  };
}

function digestOf(labels: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16);
}
