import { type GeneratedFile, generatedFile } from '../uploads/generated-file.js';

/** Files whose name begins so are refused until their arm has failed. */
export const UNLUCKY = 'unlucky-';

/** Small files of several types and sizes, an empty one among them, with their hashes. */
export function soakFiles(): readonly { readonly file: GeneratedFile; readonly sha256: string }[] {
  const files = [
    generatedFile('empty.txt', 'text/plain', 0, 0),
    generatedFile('letter.txt', 'text/plain', 900, 1),
    generatedFile('data.json', 'application/json', 4_000, 2),
    generatedFile('table.csv', 'text/csv', 12_000, 3),
    generatedFile('script.py', 'text/x-python', 2_500, 4),
    generatedFile('notes.md', 'text/markdown', 7_000, 5),
    generatedFile('photo.png', 'image/png', 150_000, 6),
  ];
  return files.map((file) => ({ file, sha256: file.sha256() }));
}
