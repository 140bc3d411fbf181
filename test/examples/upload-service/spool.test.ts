import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spool } from '../../../examples/upload-service/spool.js';

describe('Spool', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'spool-test-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('gives each reader all of it, whenever the reader began', async () => {
    const source = new Source();
    const spool = await Spool.open(directory);
    const filled = spool.fill(source.content());
    const early = textOf(spool.read());
    await source.send('one ');
    const midway = textOf(spool.read());
    await source.send('two');
    source.end();
    await filled;
    expect(await Promise.all([early, midway, textOf(spool.read())])).toEqual([
      'one two',
      'one two',
      'one two',
    ]);
    await spool.close();
  });

  it('hands a chunk on before the next one has come', async () => {
    const source = new Source();
    const spool = await Spool.open(directory);
    const filled = spool.fill(source.content());
    const reader = spool.read();
    await source.send('first');
    expect(String((await reader.next()).value)).toBe('first');
    source.end();
    await filled;
    await spool.close();
  });

  it('has no name on disk from the start', async () => {
    const spool = await Spool.open(directory);
    expect(await readdir(directory)).toEqual([]);
    await spool.close();
  });

  it('fails every reader with the error of the source', async () => {
    const source = new Source();
    const spool = await Spool.open(directory);
    const filled = spool.fill(source.content());
    const following = expect(textOf(spool.read())).rejects.toThrow('the client has gone');
    await source.send('half');
    source.fail(new Error('the client has gone'));
    await filled;
    await following;
    await expect(textOf(spool.read())).rejects.toThrow('the client has gone');
    await spool.close();
  });

  it('wakes a waiting reader when it is closed', async () => {
    const source = new Source();
    const spool = await Spool.open(directory);
    void spool.fill(source.content());
    const waiting = expect(spool.read().next()).rejects.toThrow('closed');
    await spool.close();
    await waiting;
  });
});

/** A file whose chunks come when the test sends them. */
class Source {
  readonly #waiting: (() => void)[] = [];
  #next: { chunk?: string; error?: Error } | undefined;
  #taken: () => void = () => {};

  /** Resolves when the chunk has been written and the next one is requested. */
  send(chunk: string): Promise<void> {
    return new Promise((resolve) => {
      this.#offer({ chunk });
      this.#taken = resolve;
    });
  }

  end(): void {
    this.#offer({});
  }

  fail(error: Error): void {
    this.#offer({ error });
  }

  async *content(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#next === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      const { chunk, error } = this.#next!;
      this.#next = undefined;
      if (error !== undefined) throw error;
      if (chunk === undefined) return;
      yield Buffer.from(chunk);
      this.#taken();
    }
  }

  #offer(next: { chunk?: string; error?: Error }): void {
    this.#next = next;
    this.#waiting.shift()?.();
  }
}

async function textOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of content) text += Buffer.from(chunk).toString();
  return text;
}
