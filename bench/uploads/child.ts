import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A script of this folder that runs as a process of its own. */
export interface Child<Ready> {
  /** What it reported when it was ready. */
  readonly ready: Ready;
  /** Calls a function in it, by its name; one at a time. */
  call<Answer>(name: string): Promise<Answer>;
  /** Ends it and waits until it has ended. */
  stop(): Promise<void>;
}

/** Starts a script with its settings in `SETTINGS`, as JSON. It dies with this process. */
export async function startChild<Ready>(
  script: string,
  settings: unknown,
  env: NodeJS.ProcessEnv = {},
): Promise<Child<Ready>> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, ...env, SETTINGS: JSON.stringify(settings) },
  });
  const ready = await answer<Ready>(child, script);
  return {
    ready,
    call(name) {
      const answered = answer<never>(child, script);
      child.send(name);
      return answered;
    },
    async stop() {
      if (child.exitCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

async function answer<T>(child: ChildProcess, script: string): Promise<T> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${script} ended with ${code}`);
  });
  ended.catch(() => {}); // Ending later is what stop() is for.
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [T];
  return message;
}

/** The child's side: reports that it is ready, and answers requests until its parent disconnects. */
export function serveParent(
  ready: unknown,
  answers: Readonly<Record<string, () => unknown>>,
  onEnd: () => Promise<void> | void,
): void {
  process.on('message', async (name: string) => process.send?.(await answers[name]?.()));
  process.on('disconnect', async () => {
    await onEnd();
    process.exit(0);
  });
  process.send?.(ready);
}

/** The child's side: its settings. */
export const childSettings = <T>(): T => JSON.parse(process.env.SETTINGS ?? '{}') as T;
