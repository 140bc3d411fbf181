const tasks = new Set<() => void>();

/**
 * Runs a synchronous task when the process exits. All tasks share one listener, since Node warns of
 * more than ten.
 *
 * @returns a function that cancels the task.
 */
export function atExit(task: () => void): () => void {
  if (tasks.size === 0) process.on('exit', runAll);
  tasks.add(task);
  return () => {
    tasks.delete(task);
    if (tasks.size === 0) process.removeListener('exit', runAll);
  };
}

function runAll(): void {
  for (const task of tasks) {
    try {
      task();
    } catch {
      // It is too late to report it, and the other tasks must run.
    }
  }
}
