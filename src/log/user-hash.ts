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
import { hash32 } from '../statistics/hash.js';
import { readIfPresent, replaceFile, UnusableFileError, type WriteOptions } from '../support/files.js';

const SALT_BYTES = 32;
const SALT = /^[0-9a-f]{64}$/;
const CIPHER = 'aes-256-ecb';
const BLOCK_BYTES = 16;
/** Of a block: the store's hash of a unit, and another one. The rest is 0, by which a block of this folder is known. */
const HASH_BYTES = 8;

/**
 * Hides targeting keys and other units: their hashes are encrypted with a salt that belongs to one folder and can be read by its owner
 * only. The log alone is not enough to try names, and two folders' logs cannot be joined by user. A restart must know the units again
 * that the checkpoint has, so that the store's own hash is among the two; with 64 bits, two of a million users share a text with a
 * probability of 3 in 100 million.
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
    if (salt === undefined || !SALT.test(salt)) {
      salt = randomBytes(SALT_BYTES).toString('hex');
      await replaceFile(join(folder, 'salt'), `${salt}\n`, { ...options, mode: 0o600 });
    }
    this.#text = salt;
    this.#salt = createSecretKey(Buffer.from(salt, 'hex'));
    this.#cipher = undefined;
  }

  /** With the salt of a folder; undefined when the folder has none. Nothing is written. @throws when it cannot be read. */
  static async read(folder: string): Promise<UserHash | undefined> {
    const salt = (await readIfPresent(join(folder, 'salt')))?.trim();
    if (salt === undefined) return undefined;
    if (!SALT.test(salt)) throw new UnusableFileError(join(folder, 'salt'));
    const users = new UserHash();
    users.#salt = createSecretKey(Buffer.from(salt, 'hex'));
    return users;
  }

  /** Writes the salt again, if its file is gone: the hashes of one run stay the same. */
  async keep(folder: string, options: WriteOptions = {}): Promise<void> {
    if (this.#text === undefined || (await readIfPresent(join(folder, 'salt'))) !== undefined) return;
    await replaceFile(join(folder, 'salt'), `${this.#text}\n`, { ...options, mode: 0o600 });
  }

  /**
   * The text of a unit. It begins with a letter, so that no spreadsheet reads it as a number.
   *
   * @param hash - The store's hash of the unit, which anybody could compute from it.
   */
  of(unit: string, hash: number): string {
    // One block, a permutation that only the salt's owner knows: equal units must look equal.
    this.#cipher ??= createCipheriv(CIPHER, this.#unitKey(), null).setAutoPadding(false);
    const block = Buffer.alloc(BLOCK_BYTES);
    block.writeUInt32LE(hash);
    block.writeUInt32LE(hash32(unit, ~hash) >>> 0, 4);
    return `u${this.#cipher.update(block).toString('base64url')}`;
  }

  /** The store's hash of a unit with this folder's text; undefined for any other text. */
  unitOf(text: string): number | undefined {
    const block = Buffer.from(text.slice(1), 'base64url');
    if (!text.startsWith('u') || block.length !== BLOCK_BYTES) return undefined;
    const plain = createDecipheriv(CIPHER, this.#unitKey(), null).setAutoPadding(false).update(block);
    return plain.subarray(HASH_BYTES).every((byte) => byte === 0) ? plain.readUInt32LE() : undefined;
  }

  #unitKey(): Buffer {
    return createHmac('sha256', this.#salt).update('units').digest();
  }
}
