import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { parseConfig } from '../support/config-error.js';
import { countSchema } from '../support/config-schemas.js';

/** Who may use the controls of a dashboard. */
export type ControlAccess =
  | {
      /**
       * A secret of at least 16 characters. Operators open the dashboard once with `?token=…`, which sets a cookie for 12 hours; programs send
       * it as `Authorization: Bearer …`.
       */
      readonly token: string;
      /** Who acts, in the audit log. @default 'dashboard' */
      readonly by?: string | undefined;
    }
  | {
      /**
       * Decides by the application's own sign-in: returns who acts, for the audit log, or undefined for a reader without rights. Called for
       * each request to the dashboard's API. What it throws is a refusal.
       */
      authorize(request: IncomingMessage): string | undefined | Promise<string | undefined>;
    };

/** Options of a dashboard. */
export interface DashboardOptions {
  /**
   * The path under which the dashboard is mounted, for example `/rollouts`, where the framework leaves it in `request.url`: Fastify, Hono and
   * plain `node:http`. Express takes it away by itself. @default none
   */
  readonly baseUrl?: string | undefined;
  /**
   * Names, with or without a port, under which the dashboard may be asked beside `localhost`. They matter where requests come through a
   * loopback address, as from a proxy on the same machine: any other name is refused there, because a foreign page may have made it
   * point to this machine. Elsewhere they matter once there is one. @default none
   */
  readonly hosts?: readonly string[] | undefined;
  /** Open pages that are kept up to date at once; further ones are refused. @default 50 */
  readonly maxReaders?: number | undefined;
  /** A secret that every reader needs, of at least 16 characters; used as that of `controls`. @default none: the application decides */
  readonly token?: string | undefined;
  /** Shows the controls to those who may use them. @default none: the page is read-only */
  readonly controls?: ControlAccess | undefined;
}

const PATH = "a path that begins with / and does not end with one, for example '/rollouts'";
const TOKEN = 'a secret of at least 16 visible characters';
const HOST = "a host's name, for example app.example.com or app.example.com:8443";
const CONTROLS = '{ token } or { authorize(request) }';

const tokenSchema = z.string({ error: TOKEN }).regex(/^[\x21-\x7e]{16,1000}$/, { error: TOKEN });

const schema = z.lazy(() =>
  z.strictObject({
    baseUrl: z
      .string({ error: PATH })
      .regex(/^(\/[^/?#\s]+)+$/, { error: PATH })
      .optional(),
    hosts: z
      .array(z.string({ error: HOST }).regex(/^[^\s/?#@]+$/, { error: HOST }), {
        error: 'a list of host names',
      })
      .default([]),
    maxReaders: countSchema.default(50),
    token: tokenSchema.optional(),
    controls: z
      .union(
        [
          z.strictObject({ token: tokenSchema, by: z.string().min(1).max(200).default('dashboard') }),
          z.strictObject({
            authorize: z.custom<(request: IncomingMessage) => unknown>(
              (value) => typeof value === 'function',
              {
                error: 'a function (request) => who acts, or undefined',
              },
            ),
          }),
        ],
        { error: CONTROLS },
      )
      .optional(),
  }),
);

/** {@link DashboardOptions}, checked and complete. */
export type ResolvedDashboardOptions = Readonly<z.output<typeof schema>>;

/** @throws ConfigError that lists everything that is wrong; no secret is in it. */
export function resolveDashboardOptions(options: DashboardOptions = {}): ResolvedDashboardOptions {
  return parseConfig(schema, options, 'dashboard options');
}
