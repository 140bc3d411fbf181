import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { accepts, Refusal, send } from './reply.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/** These shrink. */
const COMPRESSED = /\.(html|js|css|svg|json|webmanifest)$/;
/** Names with a hash: their contents never change. */
const HASHED = /-[\w-]{8,}\.\w+$/;

const MISSING =
  'The dashboard\'s page is missing. A bundle needs a copy of node_modules/unleash-rollout-guard/dist/page beside its file, named "page"; ' +
  'in a clone of the repository, "npm run build:page" builds it.';

/** One file of the page, as it is sent. */
interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly isHashed: boolean;
  readonly body: Buffer;
  readonly compressed: Partial<Record<'br' | 'gzip', Buffer>>;
}

/** Where this package's build has the page: beside the built code, wherever that was copied to. */
function pageFolder(): string {
  const file = codeFile();
  return fileURLToPath(new URL(file.pathname.endsWith('.ts') ? '../../../dist/page' : './page', file));
}

/** This file, or the one into which it was bundled. */
function codeFile(): URL {
  try {
    return new URL(import.meta.url);
  } catch {
    // The build's CommonJS within a bundle of ES modules does not know its own file: that of the program, then.
    return pathToFileURL(process.argv[1] ?? 'bundle');
  }
}

/**
 * The page's files, read and compressed once. A request's path is looked up among their names and never reaches the disk.
 */
export class PageFiles {
  readonly #folder: string;
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined;

  /** @param folder - @default dist/page of this package */
  constructor(folder = pageFolder()) {
    this.#folder = folder;
  }

  /**
   * Replies with a file.
   *
   * @param name - Relative to the page, with slashes.
   * @throws Refusal when there is no such file, or no page at all.
   */
  async serve(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    const file = (await this.#load()).get(name);
    if (file === undefined) throw new Refusal(404, 'There is no such file.');
    const { type, etag, isHashed, body, compressed } = file;
    response.setHeader('etag', etag);
    response.setHeader('vary', 'accept-encoding');
    response.setHeader('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
    if (request.headers['if-none-match']?.split(/\s*,\s*/).includes(etag)) {
      response.writeHead(304).end();
      return;
    }
    response.setHeader('content-type', type);
    const encoding = (['br', 'gzip'] as const).find((each) => compressed[each] && accepts(request, each));
    if (encoding !== undefined) response.setHeader('content-encoding', encoding);
    send(request, response, encoding === undefined ? body : compressed[encoding]!, 200);
  }

  async #load(): Promise<ReadonlyMap<string, PageFile>> {
    this.#files ??= readFiles(this.#folder);
    const files = await this.#files.catch(() => undefined);
    if (files?.has('index.html')) return files;
    // It may be built while this process runs.
    this.#files = undefined;
    throw new Refusal(503, MISSING);
  }
}

async function readFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = await Promise.all(
    paths.map(
      async (path) => [relative(folder, path).split(sep).join('/'), await readPageFile(path)] as const,
    ),
  );
  return new Map(files);
}

async function readPageFile(path: string): Promise<PageFile> {
  const body = await readFile(path);
  return {
    type: TYPES[extname(path)] ?? 'application/octet-stream',
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    isHashed: HASHED.test(path),
    body,
    compressed: COMPRESSED.test(path) ? await compressed(body) : {},
  };
}

/** Off the event loop. */
async function compressed(body: Buffer): Promise<PageFile['compressed']> {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(body, { params }),
    promisify(gzip)(body, { level: 9 }),
  ]);
  return { br, gzip: gz };
}
