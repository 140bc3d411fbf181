import { createHash, randomBytes } from 'node:crypto';
import type { ClientFile } from '../../../../bench/uploads/upload-client.js';
import { fileOf } from './world.js';

/** The six types of files, as users send them. */
export const FILE_TYPES: readonly ClientFile[] = [
  fileOf('letter.txt', 'text/plain', 'Dear Sir — naïve text, 日本語 🚀\r\n'.repeat(300)),
  fileOf(
    'data.json',
    'application/json',
    JSON.stringify({ rows: Array.from({ length: 500 }, (_, id) => id) }),
  ),
  fileOf('table.csv', 'text/csv', `id;name\r\n${'1;"a, b"\r\n'.repeat(800)}`),
  fileOf('notes.md', 'text/markdown', `# Notes\n\n${'- **bold** `code`\n'.repeat(500)}`),
  fileOf('script.py', 'text/x-python', `def main():\n${'    print("hello")\n'.repeat(400)}`),
  fileOf(
    'photo.png',
    'image/png',
    Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), randomBytes(50_000)]),
  ),
];

export const sha256Of = (file: ClientFile): string => {
  const hash = createHash('sha256');
  for (const chunk of file.chunks()) hash.update(chunk);
  return hash.digest('hex');
};
