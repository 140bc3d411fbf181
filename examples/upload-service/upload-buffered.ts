import { Agent } from 'undici';
import type { FileProvider } from './file-provider.js';
import { SerialQueue } from './serial-queue.js';
import type { UploadPath } from './upload-file.js';

/**
 * The old path, the rollout's control: reads the whole file into memory, then sends it in one piece with its length,
 * over a connection of its own, one upload after another.
 */
export function createBufferedUpload(provider: FileProvider): UploadPath {
  const queue = new SerialQueue();
  const newConnections = new Agent({ pipelining: 0 }); // 0: undici's word for «close after each request».
  return {
    provider: provider.name,
    async upload(file, signal) {
      const content = await file.bytes();
      const outgoing = { name: file.name, contentType: file.contentType, content };
      const stored = await queue.run(
        () => provider.send(outgoing, { connections: newConnections, signal }),
        signal,
      );
      return { ...stored, via: 'buffered' };
    },
    close: () => newConnections.close(),
  };
}
