import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { GuardEvent } from 'unleash-rollout-guard';
import type { Target } from './load.js';
import type { FromService, ServiceSettings, ServiceStatus, ToService } from './messages.js';

/** Something that a guard reported, or sent to operators. */
export interface Report {
  /** By `performance.now()` of this process. */
  readonly at: number;
  readonly process: ServiceProcess;
  readonly message: FromService;
}

/** How a process is started beside its settings. */
export interface LaunchOptions {
  readonly program: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Permissions of files hold for it, even where this program runs as root. */
  readonly isUnprivileged?: boolean;
}

/** Those that run: none must outlive this program. */
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

const STATUS_TIMEOUT_MS = 2_000;

/** One process of the service under test. */
export class ServiceProcess implements Target {
  readonly settings: ServiceSettings;
  readonly reports: Report[] = [];
  readonly #launch: LaunchOptions;
  #child: ChildProcess | undefined;
  #url: string | undefined;
  #isFrozen = false;

  constructor(settings: ServiceSettings, launch: LaunchOptions) {
    this.settings = settings;
    this.#launch = launch;
  }

  get url(): string | undefined {
    return this.#url;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Runs, and is not frozen. */
  get isRunning(): boolean {
    return this.#url !== undefined && !this.#isFrozen;
  }

  /** Resolves when its guard has started. */
  async start(): Promise<void> {
    const { program, env, isUnprivileged = false } = this.#launch;
    const command = [process.execPath, program];
    // Root may write everywhere; without these capabilities it is a user like any other.
    if (isUnprivileged && process.getuid?.() === 0) {
      command.unshift('setpriv', '--bounding-set=-dac_override,-dac_read_search');
    }
    const [file, ...args] = command;
    const child = spawn(file!, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, ...env, SETTINGS: JSON.stringify(this.settings) },
    });
    this.#child = child;
    this.#isFrozen = false;
    children.add(child);
    child.once('exit', () => {
      children.delete(child);
      if (this.#child === child) this.#url = undefined;
    });
    child.on('message', (message: FromService) => {
      this.reports.push({ at: performance.now(), process: this, message });
    });
    const ready = await this.#next('ready');
    this.#url = ready.url;
  }

  events<T extends GuardEvent['type']>(type: T, since = 0): (GuardEvent & { type: T })[] {
    return this.reports
      .filter(({ at }) => at >= since)
      .flatMap(({ message }) => (message.type === 'event' ? [message.event] : []))
      .filter((event): event is GuardEvent & { type: T } => event.type === type);
  }

  /** Undefined when it does not answer. */
  async status(): Promise<ServiceStatus | undefined> {
    if (!this.isRunning) return undefined;
    const answer = this.#next('status', STATUS_TIMEOUT_MS).catch(() => undefined);
    this.send({ type: 'status' });
    return (await answer)?.status;
  }

  send(message: ToService): void {
    if (this.#child?.connected) this.#child.send(message);
  }

  freeze(): void {
    this.#isFrozen = true;
    this.#child!.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child!.kill('SIGCONT');
    this.#isFrozen = false;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.#url = undefined;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Ends it in good order. @returns how it ended. */
  async close(timeoutMs: number): Promise<'closed' | 'hung' | 'failed'> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return 'failed';
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const exited = once(child, 'exit');
    this.send({ type: 'close' });
    const [code, signal] = await exited;
    clearTimeout(timer);
    if (signal !== null) return 'hung';
    return code === 0 ? 'closed' : 'failed';
  }

  #next<T extends FromService['type']>(type: T, timeoutMs = 30_000): Promise<FromService & { type: T }> {
    const child = this.#child!;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        child.off('message', check);
        child.off('exit', gone);
        act();
      };
      const check = (message: FromService) => {
        if (message.type === type) settle(() => resolve(message as FromService & { type: T }));
        if (message.type === 'failed') settle(() => reject(new Error(message.message)));
      };
      const gone = () => settle(() => reject(new Error('The service ended.')));
      const timer = setTimeout(
        () => settle(() => reject(new Error(`The service sent no ${type}.`))),
        timeoutMs,
      );
      child.on('message', check);
      child.on('exit', gone);
    });
  }
}
