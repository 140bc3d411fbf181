import type { pino as Pino } from 'pino';
import { runCallback } from './async/callbacks.js';
import { requirePackage } from './require-package.js';

/** What the guard needs of a logger; pino's `Logger` fits. */
export interface Logger {
  /** Details for whoever debugs the guard. */
  debug(fields: object, message: string): void;
  /** What happened as it should. */
  info(fields: object, message: string): void;
  /** What an operator should know. */
  warn(fields: object, message: string): void;
  /** What an operator must do something about. */
  error(fields: object, message: string): void;
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The logger that the guard writes to: the user's own, pino's JSON lines on standard output when none is given,
 * nothing for `false`. Whatever is given, a fault in it never reaches the caller.
 */
export function resolveLogger(logger: Logger | false | undefined): Logger {
  if (logger === false) return silent;
  let target = logger;
  const guarded =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      // A broken logger must not break the service that it describes, and there is no other place to report it.
      runCallback(
        'logger',
        () => {
          target ??= defaultLogger();
          // A logger of the application may be async.
          return target[level](fields, message);
        },
        () => {},
      );
    };
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') };
}

/** Pino takes a while to load: only for those who use it. */
function defaultLogger(): Logger {
  const { pino } = requirePackage('pino') as { pino: typeof Pino };
  return pino({ name: 'unleash-rollout-guard' });
}
