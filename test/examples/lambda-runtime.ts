// As much of a Lambda runtime as a test needs: it loads a function, and passes one event after the other to its handler.
import { pathToFileURL } from 'node:url';

export type FromRuntime =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly value?: unknown; readonly error?: string };

const send = (message: FromRuntime) => process.send?.(message);
const { handler } = (await import(pathToFileURL(process.argv[2]!).href)) as {
  handler: (event: unknown) => Promise<unknown>;
};

process.on('message', async (event) => {
  try {
    send({ type: 'answer', value: await handler(event) });
  } catch (error) {
    send({ type: 'answer', error: String(error) });
  }
});
send({ type: 'ready' });
