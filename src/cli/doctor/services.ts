import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { checkNotifiers, checkRedis } from '../../doctor/check-services.js';
import { type Finding, findingsOf } from '../../doctor/finding.js';
import type { Notifier, NotifyFunction } from '../../notify/notifier.js';
import { notifySchema } from '../../notify/notifier.js';
import { messageOf } from '../../support/async/callbacks.js';
import { isConfigError, isRecord } from '../../support/config-error.js';
import { fetchOver } from '../../support/connection/connection.js';
import type { HttpOptions } from '../../support/connection/http-options.js';
import { flagPageUrl } from '../../unleash/admin-access.js';
import { readControllerConfig } from '../controller/controller-config.js';

/** What is checked beside Unleash and the folder. */
export interface ServicesTarget {
  readonly url: string;
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  /** The configuration of a controller. */
  readonly config: string | undefined;
  /** Redis' URL; by default that of the configuration. */
  readonly redis: string | undefined;
  readonly sendTest: boolean;
  readonly timeoutMs: number;
  readonly http: HttpOptions;
}

/** Whether a configuration can be used, Redis answers, and notifiers deliver. */
export async function checkServices(target: ServicesTarget): Promise<Finding[]> {
  const { config: path, redis, timeoutMs, sendTest } = target;
  const { findings, config } =
    path === undefined ? { findings: [], config: undefined } : await checkConfig(path);
  const url = redis ?? (typeof config?.redis.url === 'string' ? config.redis.url : undefined);
  const notify = notifySchema.safeParse(config?.guard.notify).data ?? [];
  return [
    ...findings,
    ...(url === undefined ? [] : [await checkRedis(url, timeoutMs)]),
    // A configuration that cannot be read is one problem, not two.
    ...(path !== undefined && config === undefined ? [] : await checkNotifiersOf(notify, target, sendTest)),
  ];
}

async function checkNotifiersOf(
  notify: readonly (Notifier | NotifyFunction)[],
  target: ServicesTarget,
  sendTest: boolean,
): Promise<Finding[]> {
  const { flagKey, project, environment, timeoutMs } = target;
  if (sendTest && notify.length === 0) {
    const todo = 'Name a JavaScript module with --config that exports notify, as for rollout-guard run.';
    return [findingsOf('notifier').fail('There is no notifier to send a test message through.', todo)];
  }
  const test = {
    ...{ flagKey, project, environment, timeoutMs },
    ...{ flagUrl: flagPageUrl(target, flagKey), id: randomUUID(), at: Date.now(), fetch: fetchOver(target) },
  };
  return checkNotifiers(notify, sendTest ? test : undefined);
}

async function checkConfig(path: string) {
  const { ok, fail } = findingsOf('config');
  try {
    const config = await readControllerConfig(path, process.env);
    // OpenFeature and unleash-client take a while to load.
    const { Controller } = await import('../controller/controller.js');
    const controller = await Controller.fromFile(path, process.env, pino({ level: 'silent' }));
    await controller.close();
    const flags = isRecord(config.flags) ? Object.keys(config.flags) : [String(config.guard.flagKey)];
    return { config, findings: [ok(`${path} can be used by rollout-guard run, for ${flags.join(', ')}.`)] };
  } catch (error) {
    const text = messageOf(error);
    const named = text.includes(path) ? text : `${path}: ${text}`;
    const message = isConfigError(error) ? named : `${path} cannot be read: ${text}`;
    const findings = [fail(message.replace(/\s*\n\s*/g, ' '), 'Correct it as docs/fleet.md describes.')];
    return { config: await readControllerConfig(path, process.env).catch(() => undefined), findings };
  }
}
