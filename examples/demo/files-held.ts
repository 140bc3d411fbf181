import { readdir, readlink } from 'node:fs/promises';

/**
 * Files in `directory`, and those that this process still has open there though their names are gone (Linux lists
 * these in /proc; elsewhere only named files are seen).
 */
export async function filesHeld(directory: string): Promise<string[]> {
  const handles = await readdir('/proc/self/fd').catch(() => []);
  const targets = await Promise.all(handles.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return [...targets.filter((target) => target.startsWith(directory)), ...(await readdir(directory))];
}
