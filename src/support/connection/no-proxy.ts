import { BlockList, isIP } from 'node:net';

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Whether a list such as that of `NO_PROXY` has an address. An entry is a host, with or without a port, in which `*` stands for
 * anything and a dot at the beginning for every host below; an IP address, one of IPv6 with or without brackets; or a range of
 * them, `10.0.0.0/8`. What follows a host's name is left out, and so is a scheme before it.
 */
export function isExempt(url: URL, list: string): boolean {
  const host = plainHost(url.hostname);
  const port = url.port || DEFAULT_PORTS[url.protocol];
  return list
    .toLowerCase()
    .split(/[\s,;]+/)
    .some((entry) => entry !== '' && matches(entry.replace(/^\w+:\/\//, ''), host, port));
}

function matches(entry: string, host: string, port: string | undefined): boolean {
  const [, range = '', bits] = /^\[?([\da-f.:]+)\]?\/(\d{1,3})$/.exec(entry) ?? [];
  if (bits !== undefined) return isWithin(host, range, Number(bits));
  if (isIP(entry) !== 0) return isWithin(host, entry);
  const [, name = '', wanted] = /^(.+?)(?::(\d+))?(?:\/.*)?$/.exec(entry) ?? [];
  if (wanted !== undefined && wanted !== port) return false;
  const plain = plainHost(name);
  return isIP(plain) === 0 ? patternOf(plain).test(host) : isWithin(host, plain);
}

/** Without the brackets of IPv6, and the dot that may end a name. */
function plainHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/(?<=[^.])\.$/, '');
}

function isWithin(host: string, address: string, bits?: number): boolean {
  const [family, ofHost] = [familyOf(address), familyOf(host)];
  if (family === undefined || ofHost === undefined) return false;
  const range = new BlockList();
  try {
    if (bits === undefined) range.addAddress(address, family);
    else range.addSubnet(address, bits, family);
  } catch {
    // More bits than an address has.
    return false;
  }
  return range.check(host, ofHost);
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6';
}

/** `*.corp` and `.corp` are every host below. */
function patternOf(name: string): RegExp {
  const wildcards = name.replace(/^\./, '*.').replace(/\*+/g, '*');
  const escaped = wildcards.split('*').map((part) => part.replace(/[^\w-]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`);
}
