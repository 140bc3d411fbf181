import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { EmbeddedUnleashError } from './embedded-unleash-error.js';
import type { ProcessAnswer, ProcessDone, ProcessRequest, ProcessSettings } from './unleash-process.js';

/** How many of the server's last lines an error quotes. */
const QUOTED_LINES = 20;
const STOP_TIMEOUT_MS = 10_000;

/** Only what a process needs to run: the variables that configure Unleash must not reach it from outside. */
const INHERITED = ['PATH', 'HOME', 'USERPROFILE', 'SystemRoot', 'TMPDIR', 'TEMP', 'TMP', 'TZ', 'LANG'];

/** An Unleash server in a child process, which dies with this one. */
export class ChildServer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<undefined>;
  readonly #lastLines: string[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(onLog: (line: string) => void = () => undefined) {
    const { file, execArgv } = entry();
    this.#child = fork(file, {
      execArgv,
      env: childEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    // Not "exit", which does not come when the process could not even be made, and comes before its last output.
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve(undefined)));
    this.#child.on('error', ({ message }) => this.#lastLines.push(message));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream! }).on('line', (line) => {
        this.#lastLines.push(line);
        if (this.#lastLines.length > QUOTED_LINES) this.#lastLines.shift();
        try {
          onLog(line);
        } catch {
          // A listener's fault is not the server's.
        }
      });
    }
  }

  /** Starts the server. @returns the port on which it listens. */
  async start(settings: ProcessSettings, timeoutMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#startFailed(`was not ready after ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      const { port } = await Promise.race([this.#request({ type: 'start', settings }), late]);
      return port;
    } catch (error) {
      this.#child.kill('SIGKILL');
      await this.#ended;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the HTTP listener and every connection; the database stays. */
  async pause(): Promise<void> {
    await this.#request({ type: 'pause' });
  }

  /** Listens again, on the same port. */
  async resume(): Promise<void> {
    await this.#request({ type: 'resume' });
  }

  /** Ends the server in good order and waits until its process is gone; safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    // A server that has already crashed counts as stopped.
    await this.#request({ type: 'stop' }).catch(() => this.#child.kill('SIGKILL'));
    await this.#ended;
    clearTimeout(timer);
  }

  /** One request at a time: answers carry no number. */
  #request(request: ProcessRequest): Promise<ProcessDone> {
    const done = this.#queue.then(() => this.#send(request));
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #send(request: ProcessRequest): Promise<ProcessDone> {
    const answered = new Promise<ProcessAnswer>((resolve) => this.#child.once('message', resolve));
    if (this.#child.connected) this.#child.send(request);
    const answer = await Promise.race([answered, this.#ended]);
    if (answer === undefined) {
      throw request.type === 'start'
        ? this.#startFailed('ended while it started')
        : new EmbeddedUnleashError('STOPPED', 'The embedded Unleash server has ended.');
    }
    if (answer.type === 'done') return answer;
    if (answer.missingPackage) throw missingPackage(answer.message);
    throw this.#startFailed(`could not ${request.type}: ${answer.message}`);
  }

  #startFailed(what: string): EmbeddedUnleashError {
    const quoted = this.#lastLines.length > 0 ? `\nIts last lines:\n  ${this.#lastLines.join('\n  ')}` : '';
    return new EmbeddedUnleashError('START_FAILED', `The embedded Unleash server ${what}.${quoted}`);
  }
}

/** The process's file and Node's arguments: from a build it runs as it is, from TypeScript source through tsx. */
function entry(): { file: string; execArgv: string[] } {
  const isSource = new URL(import.meta.url).pathname.endsWith('.ts');
  const file = fileURLToPath(new URL(`./unleash-process.${isSource ? 'ts' : 'js'}`, import.meta.url));
  if (!isSource) return { file, execArgv: [] };
  const tsx = createRequire(import.meta.url).resolve('tsx');
  return { file, execArgv: ['--import', pathToFileURL(tsx).href] };
}

function childEnvironment(): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(INHERITED.map((name) => [name, process.env[name]])),
    NODE_ENV: 'production',
    NODE_NO_WARNINGS: '1',
    // Unleash reads this one from the environment only.
    SEND_TELEMETRY: 'false',
  };
}

function missingPackage(reason: string): EmbeddedUnleashError {
  return new EmbeddedUnleashError(
    'MISSING_PACKAGE',
    'The embedded Unleash server is made of packages that are not installed. Install them with ' +
      `"npm install --save-dev unleash-server @electric-sql/pglite @electric-sql/pglite-socket". (${reason})`,
  );
}
