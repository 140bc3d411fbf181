const tasks = new Set<() => void>();

/**
 * Runs a task, which cannot wait for anything, when the process exits. All tasks share one listener, since Node warns of
 * more than ten.
 *
 * @returns a function that takes the task back.
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
      // There is nobody left to tell, and the others want their turn.
    }
  }
}
