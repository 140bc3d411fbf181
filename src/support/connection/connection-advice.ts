import { isProxyError, ProxyError } from './proxy-agents.js';

/** Why no answer came, and what helps. */
export interface ConnectionFailure {
  /** A code such as `ECONNREFUSED`, or a phrase. It quotes nothing of the request. */
  readonly reason: string;
  /** What an operator can do; undefined where the reason says all that is known. */
  readonly help: string | undefined;
  /** Whether it lasts until an operator acts. */
  readonly requiresAction: boolean;
}

const PROXY_NAMES = '`http.proxy`, HTTP_PROXY, HTTPS_PROXY or ALL_PROXY';

/** The code of an error for an agent that is missing. */
export const NO_AGENT = 'NO_AGENT';

/** Codes of TLS and agents, and what helps. The first that matches counts. */
const HELP: readonly (readonly [codes: RegExp, help: string])[] = [
  [/^NO_AGENT$/, 'The function `http.agent` (or `httpOptions.agent`) threw, or gave no agent: correct it.'],
  [
    /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_UNTRUSTED)$/,
    "This process does not know the CA of the server's certificate: give it as `http.ca`, or its file in NODE_EXTRA_CA_CERTS.",
  ],
  [
    /^CERT_HAS_EXPIRED$/,
    "The server's certificate has expired: renew it, and check the clock of this machine.",
  ],
  [/^CERT_NOT_YET_VALID$/, "The server's certificate is not valid yet: check the clock of this machine."],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    "The server's certificate is for another name: use an address with a name that is in the certificate.",
  ],
  [/^(CERT_|UNABLE_TO_|CRL_)/, "The server's certificate cannot be accepted: renew it."],
  [
    /^ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)/,
    'The server requires a client certificate that it knows: give `http.cert` and `http.key`.',
  ],
  [
    /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER)$/,
    'The server does not speak TLS on this port: use http://, or the port of https://.',
  ],
];

/** Why a request got no answer. Messages of unknown errors are not passed on: they may quote headers and addresses. */
export function explainFailure(error: unknown): ConnectionFailure {
  const known = causes(error);
  const proxy = known.find((each) => isProxyError(each));
  if (proxy !== undefined) return proxyProblem(proxy);
  const code = known
    .map((each) => (each as { code?: unknown }).code)
    .find((code) => typeof code === 'string');
  const reason = typeof code === 'string' ? code : 'network error';
  const help = helpFor(reason);
  return { reason, help, requiresAction: help !== undefined };
}

function proxyProblem({ proxy, failure, hasPassword }: ProxyError): ConnectionFailure {
  const { message: reason } = new ProxyError(proxy, failure, hasPassword);
  if (typeof failure === 'string') {
    const ofTls = helpFor(failure)?.replaceAll('server', 'proxy');
    const help = `Check that the proxy runs, and its address (${PROXY_NAMES}); NO_PROXY names hosts that need none.`;
    return { reason, help: ofTls ?? help, requiresAction: ofTls !== undefined };
  }
  if (failure === 407) {
    const help = hasPassword
      ? `The proxy does not accept the user and password in its URL (${PROXY_NAMES}): correct them.`
      : `The proxy asks for a user and password: give them in its URL (${PROXY_NAMES}), http://user:password@….`;
    return { reason, help, requiresAction: true };
  }
  if (failure >= 500) {
    const help = 'The proxy cannot reach the server: check the address, and that the proxy may reach it.';
    return { reason, help, requiresAction: false };
  }
  const help =
    'The proxy does not allow the connection: have the server allowed there, or name it in NO_PROXY if it can be reached directly.';
  return { reason, help, requiresAction: true };
}

function helpFor(code: string): string | undefined {
  return HELP.find(([codes]) => codes.test(code))?.[1];
}

/** An error, and what caused it, outermost first. */
function causes(error: unknown): readonly object[] {
  const all: object[] = [];
  for (let each = error; typeof each === 'object' && each !== null && !all.includes(each); ) {
    all.push(each);
    each = (each as { cause?: unknown }).cause;
  }
  return all;
}
