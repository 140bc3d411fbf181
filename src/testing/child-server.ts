import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { EmbeddedUnleashError, type EmbeddedUnleashErrorCode } from './embedded-unleash-error.js';
import type { ProcessAnswer, ProcessDone, ProcessRequest, ProcessSettings } from './unleash-process.js';

/** How many of the server's last lines an error quotes. */
const QUOTED_LINES = 20;
const STOP_TIMEOUT_MS = 10_000;
/** A request fails a moment before the system reports the end of the process that it was sent to. */
const END_REPORT_MS = 1_000;

/** Only what a process needs to run: the variables that configure Unleash must not reach it from outside. */
const INHERITED = ['PATH', 'HOME', 'USERPROFILE', 'SystemRoot', 'TMPDIR', 'TEMP', 'TMP', 'TZ', 'LANG'];

/** An Unleash server in a child process, which dies with this one. */
export class ChildServer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<undefined>;
  readonly #lastLines: string[] = [];
  /** How the process ended, once it has. */
  #end: string | undefined;
  /** True from when this class ends the process. */
  #isEnding = false;
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
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#end = signal === null ? `with exit code ${code}` : `by ${signal}`;
        if (!this.#isEnding) process.emitWarning(this.#endedError().message, 'EmbeddedUnleashWarning');
        resolve(undefined);
      });
    });
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
      // Until it is ready, its end is this method's error.
      this.#isEnding = true;
      const { port } = await Promise.race([this.#request({ type: 'start', settings }), late]);
      this.#isEnding = false;
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

  /** Why a request got no reply, if that is because the process has ended. */
  async whyUnreachable(): Promise<EmbeddedUnleashError | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const wait = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, END_REPORT_MS);
    });
    await Promise.race([this.#ended, wait]);
    clearTimeout(timer);
    return this.#end === undefined ? undefined : this.#endedError();
  }

  /** Ends the server in good order and waits until its process is gone; safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#isEnding = true;
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
        ? this.#startFailed(`ended ${this.#end} while it started`)
        : this.#endedError();
    }
    if (answer.type === 'done') return answer;
    if (answer.missingPackage) throw missingPackage(answer.message);
    throw this.#startFailed(`could not ${request.type}: ${answer.message}`);
  }

  #startFailed(what: string): EmbeddedUnleashError {
    return this.#error('START_FAILED', what);
  }

  #endedError(): EmbeddedUnleashError {
    return this.#isEnding
      ? new EmbeddedUnleashError('STOPPED', 'The embedded Unleash server was stopped.')
      : this.#error('STOPPED', `ended by itself, ${this.#end}`);
  }

  #error(code: EmbeddedUnleashErrorCode, what: string): EmbeddedUnleashError {
    const quoted = this.#lastLines.length > 0 ? `\nIts last lines:\n  ${this.#lastLines.join('\n  ')}` : '';
    return new EmbeddedUnleashError(code, `The embedded Unleash server ${what}.${quoted}`);
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
