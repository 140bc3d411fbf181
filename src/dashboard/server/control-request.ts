import type { IncomingMessage } from 'node:http';
import { type Control, controlSchema } from '../../model/control.js';
import { withDeadline } from '../../support/deadline.js';
import { parseJson } from '../../support/json.js';
import { Refusal } from './reply.js';

const MAX_BODY_BYTES = 16 * 1024;
const BODY_TIMEOUT_MS = 10_000;

/**
 * Reads the control that a request asks for.
 *
 * @param by - Who asks: what the body says of that is refused.
 * @throws Refusal that says what is wrong with it.
 */
export async function readControl(request: IncomingMessage, by: string): Promise<Control> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  // Other pages can send other types without asking first.
  if (type !== 'application/json') throw new Refusal(415, 'Send JSON, with the type application/json.');
  const body = await readBody(request);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal(400, 'The body is not a JSON object.');
  }
  if ('by' in body) throw new Refusal(400, 'Who asks is known from the sign-in: leave "by" out.');
  const control = controlSchema.safeParse({ ...body, by });
  if (control.success) return control.data;
  const [issue] = control.error.issues;
  const where = issue?.path.join('.') || 'The control';
  throw new Refusal(400, `${where}: ${issue?.message ?? 'not a control'}.`);
}

/** @throws Refusal when it is too long, slow or no JSON. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  // A framework's parser may have read it.
  if (request.readableEnded || request.readableDidRead) return 'body' in request ? request.body : undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  const read = () =>
    new Promise<void>((resolve, reject) => {
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        // What is left of it is dropped, so that the reply can be sent.
        if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
        else reject(new Refusal(413, 'The body is longer than 16 kB.'));
      });
      request.once('end', resolve);
      request.once('error', reject);
      request.once('close', () => reject(new Refusal(408, 'The body did not arrive.')));
    });
  try {
    await withDeadline(BODY_TIMEOUT_MS, undefined, read);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(408, 'The body did not arrive.');
  }
  const value = parseJson(Buffer.concat(chunks).toString('utf8'));
  if (value === undefined) throw new Refusal(400, 'The body is not JSON.');
  return value;
}
