import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfPresent } from '../support/files.js';

const SALT_BYTES = 32;
/** 64 bits: among a million users, two share a hash with a probability of 3 in 100 million. */
const HASH_DIGITS = 16;

/**
 * Hides targeting keys and units: HMAC-SHA256 with a salt that belongs to one folder and can be read by its owner only. The
 * log alone is not enough to try names, and two folders' logs cannot be joined by user.
 */
export class UserHash {
  #salt: KeyObject = createSecretKey(randomBytes(SALT_BYTES));
  #latest: { readonly key: string | undefined; readonly hash: string } = { key: undefined, hash: '' };

  /**
   * Reads the folder's salt, or creates one.
   * @throws when it can be neither read nor written; hashes are then this process's own.
   */
  async open(folder: string): Promise<void> {
    const path = join(folder, 'salt');
    let salt = (await readIfPresent(path))?.trim();
    // After a crash, there may be a part of one.
    if (salt?.length !== 2 * SALT_BYTES || !/^[0-9a-f]+$/.test(salt)) {
      salt = randomBytes(SALT_BYTES).toString('hex');
      await mkdir(folder, { recursive: true });
      await rm(path, { force: true });
      await writeFile(path, `${salt}\n`, { flag: 'wx', mode: 0o600 });
    }
    this.#salt = createSecretKey(Buffer.from(salt, 'hex'));
    this.#latest = { key: undefined, hash: '' };
  }

  /** Begins with a letter, so that no spreadsheet reads it as a number. */
  of(key: string): string {
    // The user is nearly always the unit that was drawn, too.
    if (key !== this.#latest.key) {
      const hash = `u${createHmac('sha256', this.#salt).update(key).digest('hex').slice(0, HASH_DIGITS)}`;
      this.#latest = { key, hash };
    }
    return this.#latest.hash;
  }
}
