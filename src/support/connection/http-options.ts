import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Agent } from 'node:http';
import tls, { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { z } from 'zod';

/** A certificate or a key: in PEM form, or the path of a file with it. */
export type PemSource = string | Uint8Array;

/**
 * How what leaves the process over HTTP is connected: to Unleash, Slack, webhooks and Prometheus. The environment applies to
 * what is not given here: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` in either case, and `NODE_EXTRA_CA_CERTS`.
 */
export interface HttpOptions {
  /**
   * The forward proxy for every request, for example `http://user:password@proxy.example.com:3128`; `false` for none. No log or
   * error shows user and password. @default the proxy that the environment names
   */
  readonly proxy?: string | false | undefined;
  /** Certificates of CAs that are accepted beside those of Node.js: PEM, or the paths of files. @default none */
  readonly ca?: PemSource | readonly PemSource[] | undefined;
  /** This process's certificate, for servers that require one: PEM, or the path of a file. @default none */
  readonly cert?: PemSource | undefined;
  /** The key of `cert`: PEM, or the path of a file. @default none */
  readonly key?: PemSource | undefined;
  /** Decrypts `key`. @default none */
  readonly passphrase?: string | undefined;
  /** `false` accepts every certificate: nothing is then protected against who stands between. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
  /** An agent of your own for each URL, in place of everything else here. @default none */
  readonly agent?: ((url: URL) => Agent) | undefined;
}

const PROXY = 'a URL that begins with http:// or https:// and has no path, or false';
const PEM = 'a certificate in PEM form, or the path of a file with one';
const KEY = 'a key in PEM form, or the path of a file with one';
const PAIR = 'a certificate and the key that belongs to it';
/** Else a URL of a proxy ends early, or the proxy gets another password. */
export const ENCODING = 'special characters of user and password are percent-encoded, for example %23 for #';
const DISPATCHER =
  'nothing: a provider takes `agent`, and to a guard a dispatcher goes with a fetch of its own, `fetch: (url, init) => undici.fetch(url, { ...init, dispatcher })`, beside `http`';
const AGENT = 'a function (url) => agent, and no other option beside it';

const pem = (
  expected: string,
  isValid = (source: PemSource) => /-----BEGIN [^-]+-----/.test(textOf(source)),
) =>
  z
    .custom<PemSource>((value) => typeof value === 'string' || value instanceof Uint8Array, {
      error: expected,
    })
    .refine(isValid, { error: expected });

/** Checks {@link HttpOptions}: files are read, and certificates and keys tried. */
export const httpOptionsSchema = z.lazy(() =>
  z
    .strictObject({
      proxy: z
        .custom<string | false>()
        .superRefine((value: unknown, context) => {
          if (value === false || (typeof value === 'string' && isProxyUrl(value))) return;
          const hint = typeof value === 'string' && value.includes('@') ? ENCODING : undefined;
          context.addIssue({ code: 'custom', message: PROXY, params: { hint } });
        })
        .optional(),
      ca: z.union([pem(PEM, hasCertificate), z.array(pem(PEM, hasCertificate))], { error: PEM }).optional(),
      cert: pem(PEM).optional(),
      key: pem(KEY).optional(),
      passphrase: z.string().optional(),
      rejectUnauthorized: z.boolean().optional(),
      agent: z
        .custom<HttpOptions['agent']>((value) => typeof value === 'function', { error: AGENT })
        .optional(),
      dispatcher: z.undefined({ error: DISPATCHER }).optional(),
    })
    .superRefine((options, context) => {
      const refuse = (path: string, message: string) =>
        context.addIssue({ code: 'custom', path: [path], message });
      const { agent, cert, key, ca } = options;
      if (agent !== undefined && Object.values(options).filter((value) => value !== undefined).length > 1)
        refuse('agent', AGENT);
      if ((cert === undefined) !== (key === undefined))
        return refuse(cert === undefined ? 'cert' : 'key', PAIR);
      if (!canBeUsed({ ca })) refuse('ca', PEM);
      else if (!canBeUsed(options)) refuse('key', `${PAIR}, with its passphrase`);
    }),
);

/** Node.js passes over what it cannot read among CAs. */
function hasCertificate(source: PemSource): boolean {
  const blocks = textOf(source).match(/-----BEGIN [^-]*CERTIFICATE-----[^-]*-----END [^-]*CERTIFICATE-----/g);
  return (blocks ?? []).some((block) => {
    try {
      return new X509Certificate(block).fingerprint !== '';
    } catch {
      return false;
    }
  });
}

function canBeUsed(options: HttpOptions): boolean {
  try {
    secureContextOf(options);
    return true;
  } catch {
    return false;
  }
}

/** Whether this can be a proxy's address. */
export function isProxyUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, pathname, search, hash, username, password } = new URL(text);
  return (
    /^https?:$/.test(protocol) && `${pathname}${search}${hash}` === '/' && isEncoded(username + password)
  );
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The certificates and keys of a connection, read once; undefined where Node's own apply. */
export function secureContextOf(options: HttpOptions): SecureContext | undefined {
  const { ca, cert, key, passphrase } = options;
  if (ca === undefined && cert === undefined) return undefined;
  const own = [ca ?? []].flat() as readonly PemSource[];
  return createSecureContext({
    // Whoever gives a CA to `tls` replaces all others, and Slack would be unknown.
    ...(own.length > 0 && { ca: [...knownAuthorities(), ...own.map(textOf)] }),
    ...(cert !== undefined && { cert: textOf(cert) }),
    ...(key !== undefined && { key: textOf(key) }),
    ...(passphrase !== undefined && { passphrase }),
  });
}

function knownAuthorities(): readonly string[] {
  // Since Node 22.15; it includes NODE_EXTRA_CA_CERTS.
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => readonly string[] };
  if (getCACertificates !== undefined) return getCACertificates('default');
  const file = process.env.NODE_EXTRA_CA_CERTS;
  return file === undefined ? rootCertificates : [...rootCertificates, readOr(file, '')];
}

function textOf(source: PemSource): string {
  const text = typeof source === 'string' ? source : Buffer.from(source).toString();
  return text.includes('-----BEGIN') ? text : readOr(text, '');
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
