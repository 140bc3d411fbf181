import type { Control } from '../../../model/control.js';
import type { ControlReply, DecisionView, Overview, Series } from '../../api.js';

/** A control as the page sends it: the server knows who asks. */
export type ControlRequest = Control extends infer Each
  ? Each extends Control
    ? Omit<Each, 'by'>
    : never
  : never;

/** An answer that is no success; `status` 0: there was none. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 20_000;

/** How much the server's clock is ahead of the reader's, in milliseconds. */
let clockAheadMs = 0;

/** The time by the server's clock, so that "12 s ago" is right where the reader's clock is not. */
export function serverNow(): number {
  return Date.now() + clockAheadMs;
}

export function fetchOverview(): Promise<Overview> {
  return get<Overview>('api/flags');
}

/** Which part of a series, in how many points or in points of which length. All of the rollout without `from` and `to`. */
export interface SeriesQuery {
  readonly from?: number;
  readonly to?: number;
  readonly points?: number;
  readonly stepMs?: number;
}

export function fetchSeries(flagKey: string, query: SeriesQuery): Promise<Series> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) parameters.set(name, String(Math.round(value)));
  return get<Series>(`${flagPath(flagKey)}/series?${parameters}`);
}

export function fetchDecisions(flagKey: string): Promise<readonly DecisionView[]> {
  return get<readonly DecisionView[]>(`${flagPath(flagKey)}/decisions`);
}

export function fetchDecision(flagKey: string, id: string): Promise<DecisionView> {
  return get<DecisionView>(`${flagPath(flagKey)}/decisions/${encodeURIComponent(id)}`);
}

/** Refused requests have a reply too, which says why. */
export async function sendControl(
  flagKey: string,
  control: ControlRequest,
  csrfToken: string,
): Promise<ControlReply> {
  const response = await request(`${flagPath(flagKey)}/controls`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf-token': csrfToken },
    body: JSON.stringify(control),
  });
  const reply = await bodyOf(response);
  if (isReply(reply)) return reply;
  throw new ApiError(response.status, messageOf(reply) ?? refusal(response.status));
}

const flagPath = (flagKey: string) => `api/flags/${encodeURIComponent(flagKey)}`;

async function get<Body>(path: string): Promise<Body> {
  const response = await request(path, {});
  const body = await bodyOf(response);
  if (!response.ok || body === undefined) {
    throw new ApiError(response.status, messageOf(body) ?? refusal(response.status));
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  // The header has whole seconds: half a second is what it is off by on average.
  const aheadMs = date + 500 - Date.now();
  if (!Number.isNaN(aheadMs)) clockAheadMs = Math.abs(aheadMs) < 3_000 ? 0 : aheadMs;
  return body as Body;
}

async function request(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { ...init, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
    throw new ApiError(0, isTimeout ? 'The dashboard does not answer.' : 'The dashboard cannot be reached.');
  }
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

function messageOf(body: unknown): string | undefined {
  const message = (body as { message?: unknown } | undefined)?.message;
  return typeof message === 'string' && message !== '' ? message : undefined;
}

function isReply(body: unknown): body is ControlReply {
  return typeof (body as ControlReply | undefined)?.accepted === 'boolean' && messageOf(body) !== undefined;
}

function refusal(status: number): string {
  if (status === 401 || status === 403) {
    return 'You have no access, or it has ended: open the address that the dashboard printed, or sign in again.';
  }
  return status === 404 ? 'There is no such thing.' : `The dashboard answers with status ${status}.`;
}
