import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, so that another one with the same id, later or in another container, is not taken for it. */
interface ProcessIdentity {
  readonly pid: number;
  /** Processes of one machine and container see each other; ids of others mean nothing. */
  readonly machine: string;
  /** When the process started, as its kernel counts it; undefined where that is not known. */
  readonly startedAt: string | undefined;
}

/** This process. */
export const thisProcess: ProcessIdentity = {
  pid: process.pid,
  machine: machineOf(),
  startedAt: startOf(process.pid),
};

/** Whether a process runs; `unknown` when it cannot be seen from here. No clock is asked. */
export function standingOf({ pid, machine, startedAt }: ProcessIdentity): 'runs' | 'ended' | 'unknown' {
  if (machine !== thisProcess.machine) return 'unknown';
  if (!exists(pid)) return 'ended';
  const start = startOf(pid);
  if (start === 'ended') return 'ended';
  if (start === undefined || startedAt === undefined) return 'unknown';
  return start === startedAt ? 'runs' : 'ended';
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Container and boot, on Linux; elsewhere the host's name. */
function machineOf(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** `ended`: only its parent has not noticed yet. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : fields[19];
  } catch {
    return undefined;
  }
}
