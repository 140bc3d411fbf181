import { describe, expect, it } from 'vitest';
import { plainFileName } from '../../../examples/upload-service/file-name.js';

describe('plainFileName', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\temp\\a.txt', 'a.txt'],
    ['a\u0000b\r\n.txt', 'ab.txt'],
    ['"quoted" 🚀.txt', '"quoted" 🚀.txt'],
    ['  spaces  ', 'spaces'],
    ['', 'file'],
    ['..', 'file'],
    ['folder/', 'file'],
    ['.env', '.env'],
  ])('makes of %j the name %j', (sent, name) => expect(plainFileName(sent)).toBe(name));

  it('keeps the extension of a name that is too long, and no half characters', () => {
    const name = plainFileName(`${'🚀'.repeat(1250)}.json`);
    expect(name).toMatch(/^🚀+\.json$/u);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    expect(Buffer.byteLength(name)).toBeGreaterThan(250);
  });
});
