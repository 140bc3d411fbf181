const CHECK_MS = 500;

/**
 * Ends the process as SIGTERM does when npx, which started it, is gone. npm passes a signal to the shell that it starts the
 * command with; that shell ends, and leaves the command running.
 */
export function endWithNpm(program: NodeJS.Process): void {
  if (program.env.npm_lifecycle_event === undefined && program.env.npm_command === undefined) return;
  const parent = program.ppid;
  const timer = setInterval(() => {
    if (program.ppid === parent) return;
    clearInterval(timer);
    program.kill(program.pid, 'SIGTERM');
  }, CHECK_MS);
  timer.unref();
}
