import type { IncomingMessage } from 'node:http';
import { type Control, controlSchema } from '../../model/control.js';
import { parseJson } from '../../support/json.js';
import { Refusal } from './reply.js';
import { isReadBefore, readBytes } from './request-body.js';

const MAX_BODY_BYTES = 16 * 1024;

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
  if (isReadBefore(request)) return 'body' in request ? request.body : undefined;
  const value = parseJson((await readBytes(request, MAX_BODY_BYTES)).toString('utf8'));
  if (value === undefined) throw new Refusal(400, 'The body is not JSON.');
  return value;
}
