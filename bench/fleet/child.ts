import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The functions of a child process that its parent calls. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

/** What a function of a child returns to its parent. */
export type Answer<All extends Handlers, What extends keyof All> = Awaited<ReturnType<All[What]>>;

/** Lets the parent call these functions, in a process that ends with its parent. */
export function serve(handlers: Handlers): void {
  process.on('message', async ({ id, what, argument }: { id: number; what: string; argument: never }) => {
    try {
      process.send?.({ id, value: await handlers[what]?.(argument) });
    } catch (error) {
      process.send?.({ id, failure: String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
}

/** A process of its own, so that its work is not counted as another's. */
export class Child<All extends Handlers> {
  readonly #process: ChildProcess;
  #calls = 0;

  /** @param script - Beside this file. */
  constructor(script: string) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.#process = fork(path, { execArgv: ['--import', 'tsx'] });
    this.#process.setMaxListeners(0);
  }

  /** Calls a function in the child. @throws Error when it fails, does not answer in time, or has ended. */
  call<What extends keyof All & string>(
    what: What,
    argument: Parameters<All[What]>[0],
    withinMs = 60_000,
  ): Promise<Answer<All, What>> {
    const id = ++this.#calls;
    const child = this.#process;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
        settle();
      };
      const onMessage = (message: { id: number; value: Answer<All, What>; failure?: string }) => {
        if (message.id !== id) return;
        const { failure, value } = message;
        end(() => (failure === undefined ? resolve(value) : reject(new Error(failure))));
      };
      const onExit = () => end(() => reject(new Error(`The process ended before it replied to ${what}.`)));
      const onTime = () => end(() => reject(new Error(`No answer to ${what} in ${withinMs} ms.`)));
      const timer = setTimeout(onTime, withinMs);
      child.on('message', onMessage).on('exit', onExit);
      child.send({ id, what, argument });
    });
  }

  async end(): Promise<void> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}
