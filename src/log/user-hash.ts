import {
  type Cipher,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { join } from 'node:path';
import { readIfPresent, replaceFile, type WriteOptions } from '../support/files.js';

const SALT_BYTES = 32;
/** 64 bits: among a million users, two share a hash with a probability of 3 in 100 million. */
const HASH_DIGITS = 16;
const CIPHER = 'aes-256-ecb';
const BLOCK_BYTES = 16;

/**
 * Hides targeting keys: HMAC-SHA256 with a salt that belongs to one folder and can be read by its owner only. The
 * log alone is not enough to try names, and two folders' logs cannot be joined by user.
 */
export class UserHash {
  #salt: KeyObject = createSecretKey(randomBytes(SALT_BYTES));
  #text: string | undefined;
  #cipher: Cipher | undefined;

  /**
   * Reads the folder's salt, or creates one.
   * @throws when it can be neither read nor written; hashes are then this process's own.
   */
  async open(folder: string, options: WriteOptions = {}): Promise<void> {
    let salt = (await readIfPresent(join(folder, 'salt')))?.trim();
    // After a crash of an earlier version, there may be a part of one.
    if (salt?.length !== 2 * SALT_BYTES || !/^[0-9a-f]+$/.test(salt)) {
      salt = randomBytes(SALT_BYTES).toString('hex');
      await replaceFile(join(folder, 'salt'), `${salt}\n`, { ...options, mode: 0o600 });
    }
    this.#text = salt;
    this.#salt = createSecretKey(Buffer.from(salt, 'hex'));
    this.#cipher = undefined;
  }

  /** Writes the salt again, if its file is gone: the hashes of one run stay the same. */
  async keep(folder: string, options: WriteOptions = {}): Promise<void> {
    if (this.#text === undefined || (await readIfPresent(join(folder, 'salt'))) !== undefined) return;
    await replaceFile(join(folder, 'salt'), `${this.#text}\n`, { ...options, mode: 0o600 });
  }

  /** Begins with a letter, so that no spreadsheet reads it as a number. */
  of(targetingKey: string): string {
    return `u${createHmac('sha256', this.#salt).update(targetingKey).digest('hex').slice(0, HASH_DIGITS)}`;
  }

  /**
   * Encrypts the store's hash of a unit, which anybody could compute from the unit: a restart must know the units again that the
   * checkpoint has, and nobody else may.
   */
  ofUnit(hash: number): string {
    // One block, a permutation that only the salt's owner knows: equal units must look equal.
    this.#cipher ??= createCipheriv(CIPHER, this.#unitKey(), null).setAutoPadding(false);
    const block = Buffer.alloc(BLOCK_BYTES);
    block.writeUInt32LE(hash);
    return `t${this.#cipher.update(block).toString('base64url')}`;
  }

  /** The hash of a unit that was encrypted with this folder's salt; undefined for any other text. */
  unitOf(text: string): number | undefined {
    const block = Buffer.from(text.slice(1), 'base64url');
    if (!text.startsWith('t') || block.length !== BLOCK_BYTES) return undefined;
    const plain = createDecipheriv(CIPHER, this.#unitKey(), null).setAutoPadding(false).update(block);
    return plain.subarray(4).every((byte) => byte === 0) ? plain.readUInt32LE() : undefined;
  }

  #unitKey(): Buffer {
    return createHmac('sha256', this.#salt).update('units').digest();
  }
}
