import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TlsIdentity } from './faulty-proxy.js';

const run = promisify(execFile);
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** `openssl ca` is the only command of all versions that sets the second at which a certificate ends. */
const CONFIG = `
[ca]
default_ca = default
[default]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[server]
subjectAltName = IP:127.0.0.1
`;

/** Issues certificates for 127.0.0.1. */
export class CertificateAuthority {
  /** For `NODE_EXTRA_CA_CERTS`. */
  readonly certFile: string;
  readonly #folder: string;
  #issued = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.certFile = join(folder, 'ca.pem');
  }

  static async create(folder: string): Promise<CertificateAuthority> {
    const authority = new CertificateAuthority(folder);
    await writeFile(join(folder, 'ca.conf'), CONFIG);
    await writeFile(join(folder, 'index.txt'), '');
    await writeFile(join(folder, 'serial'), '01\n');
    const subject = ['-subj', '/CN=chaos', '-days', '1'];
    await authority.#openssl(['req', '-x509', ...EC, ...subject, '-keyout', 'ca.key', '-out', 'ca.pem']);
    return authority;
  }

  /** @param lastsMs - From now on; it is cut to seconds. */
  async issue(lastsMs: number): Promise<TlsIdentity> {
    const name = String(++this.#issued);
    const [key, request, cert] = [`${name}.key`, `${name}.csr`, `${name}.pem`];
    await this.#openssl(['req', ...EC, '-subj', '/CN=127.0.0.1', '-keyout', key, '-out', request]);
    await this.#openssl([
      ...['ca', '-batch', '-notext', '-config', 'ca.conf', '-extensions', 'server'],
      ...['-cert', 'ca.pem', '-keyfile', 'ca.key', '-in', request, '-out', cert],
      ...['-startdate', asn1Time(Date.now() - 60_000), '-enddate', asn1Time(Date.now() + lastsMs)],
    ]);
    const read = (file: string) => readFile(join(this.#folder, file), 'utf8');
    return { key: await read(key), cert: await read(cert) };
  }

  async #openssl(args: readonly string[]): Promise<void> {
    await run('openssl', args, { cwd: this.#folder });
  }
}

/** `20260301120000Z` */
function asn1Time(at: number): string {
  return `${new Date(at).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
}
